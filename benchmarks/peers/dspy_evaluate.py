"""Evaluate a ChainOfThought with DSPy and print what it took; runs in the peers' environment.

Usage: python dspy_evaluate.py BASE_URL MODEL ANSWER EXAMPLES THREADS
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import dspy  # type: ignore[import-not-found]  # in the peers' environment only


def main(base_url: str, model: str, answer: str, examples: str, threads: str) -> None:
    """Run one evaluation, without any cache, and print its wall time and score as JSON."""
    language_model = dspy.LM(
        f"openai/{model}", api_base=base_url, api_key="unused", cache=False, num_retries=0
    )
    dspy.configure(lm=language_model)
    devset = [
        dspy.Example(question=f"What is 2 + 2? ({index})", answer=answer).with_inputs("question")
        for index in range(int(examples))
    ]

    def exact_match(example: Any, prediction: Any, trace: Any = None) -> bool:
        return bool(example.answer == prediction.answer)

    evaluate = dspy.Evaluate(
        devset=devset, metric=exact_match, num_threads=int(threads), display_progress=False
    )
    program = dspy.ChainOfThought("question -> answer")
    program(question="Is the way there free?")  # what happens once is not measured

    wall_s, cpu_s = time.perf_counter(), time.process_time()
    result = evaluate(program)
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    print(
        json.dumps(
            {"version": dspy.__version__, "wall_s": wall_s, "cpu_s": cpu_s, "score": result.score}
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
