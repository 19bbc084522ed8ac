"""The look of the pages: light and dark, wide and narrow, on paper."""

from __future__ import annotations

from typing import Final

__all__ = ("STYLE",)

STYLE: Final = """
:root {
  color-scheme: light dark;
  --ground: #f7f8fa; --card: #ffffff; --ink: #1b1f27; --soft: #5d6675; --rule: #e1e5eb;
  --accent: #3557d6; --accent-soft: #dfe6fb; --good: #1b7f4d; --good-soft: #d9f0e4;
  --bad: #b3322c; --bad-soft: #fbe1df; --warn: #8f5b00; --warn-soft: #fbeccd; --idle: #c9d0da;
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #11141a; --card: #191d25; --ink: #e7eaf0; --soft: #9aa4b5; --rule: #2b313d;
    --accent: #8ea8ff; --accent-soft: #25305a; --good: #63d19b; --good-soft: #163a29;
    --bad: #ff8f87; --bad-soft: #47201e; --warn: #f0bd60; --warn-soft: #42320f; --idle: #414a59;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; scroll-padding-top: 3.5rem; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
a { color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 1rem; z-index: 3; padding: .4rem .8rem; background: var(--card); }
header, main, footer { max-width: 74rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 2.2rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0; letter-spacing: -.01em;
  overflow-wrap: anywhere; }
h2 { font-size: 1.12rem; margin: 0 0 .2rem; letter-spacing: -.005em; }
h3 { font-size: .95rem; margin: 0 0 .5rem; }
p { margin: .3rem 0; }
.kicker { color: var(--soft); font-size: .8rem; letter-spacing: .06em;
  text-transform: uppercase; }
.note { color: var(--soft); font-size: .87rem; margin: 0 0 .9rem; }
.by { color: var(--soft); overflow-wrap: anywhere; }
code, .mono { font-family: var(--mono); font-size: .88em; overflow-wrap: anywhere; }
nav {
  position: sticky; top: 0; z-index: 2; margin-top: 1.4rem;
  background: color-mix(in srgb, var(--ground) 92%, transparent);
  backdrop-filter: blur(6px); border-bottom: 1px solid var(--rule);
}
nav ul {
  display: flex; gap: .2rem 1.3rem; max-width: 74rem; margin: 0 auto; padding: .6rem 1.5rem;
  list-style: none; overflow-x: auto; white-space: nowrap;
}
nav a { color: var(--soft); text-decoration: none; font-size: .9rem; padding: .15rem 0;
  display: block; }
nav a:hover { color: var(--ink); }
section { margin: 1.6rem 0 0; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 12px;
  padding: 1.2rem 1.4rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr));
  gap: 1.2rem; }
.banner {
  border: 1px solid var(--warn); border-radius: 10px; background: var(--warn-soft);
  color: var(--warn);
  padding: .65rem 1rem; margin: 1rem 0 0; overflow-wrap: anywhere;
}
.hero { display: flex; flex-wrap: wrap; gap: 1rem 3rem; align-items: center; }
.score { font-size: 3.6rem; line-height: 1; font-weight: 650; letter-spacing: -.03em;
  font-variant-numeric: tabular-nums; }
.hero > :first-child { flex: 1 1 16rem; max-width: 27rem; }
.hero .note { margin: .5rem 0 0; }
.hero .chart { flex: 1 1 20rem; max-width: 36rem; min-width: 0; }
.facts {
  display: flex; flex-wrap: wrap; gap: 1px; background: var(--rule); overflow: hidden;
  border: 1px solid var(--rule); border-radius: 12px; margin: 1.2rem 0 0;
}
.facts div { background: var(--card); padding: .75rem 1rem; flex: 1 1 15rem; }
.facts dt { color: var(--soft); font-size: .8rem; }
.facts dd { margin: .05rem 0 0; font-size: 1.15rem; font-weight: 600;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.facts dd small { display: block; color: var(--soft); font-size: .78rem; font-weight: 400; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font: 11px system-ui, -apple-system, "Segoe UI", sans-serif;
  font-variant-numeric: tabular-nums; }
svg .strong { fill: var(--ink); font-weight: 600; }
.bar { fill: var(--accent); } .faint { fill: var(--accent); opacity: .28; }
.ground { fill: var(--rule); }
.axis { stroke: var(--rule); }
.mark { stroke: var(--ink); stroke-width: 1.5; } .dash { stroke: var(--soft);
  stroke-dasharray: 3 3; }
.g { fill: var(--good); background: var(--good); } .b { fill: var(--bad);
  background: var(--bad); }
.w { fill: var(--warn); background: var(--warn); } .i { fill: var(--idle);
  background: var(--idle); }
.stack { display: flex; height: 12px; border-radius: 6px; overflow: hidden;
  background: var(--rule); margin: .8rem 0 .6rem; gap: 2px; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.3rem; margin: 0; padding: 0;
  list-style: none; font-size: .88rem; }
.legend i { display: inline-block; width: .7rem; height: .7rem; border-radius: 3px;
  margin-right: .45rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
.scroll { overflow-x: auto; }
th { text-align: left; color: var(--soft); font-weight: 500; font-size: .8rem; }
th, td { padding: .45rem .8rem .45rem 0; border-bottom: 1px solid var(--rule);
  vertical-align: top; }
tr:last-child td { border-bottom: 0; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.share { display: inline-block; vertical-align: middle; width: 100%; min-width: 5rem;
  height: 8px; border-radius: 4px; background: var(--rule); overflow: hidden; }
.share b { display: block; height: 100%; }
.pill { display: inline-block; border-radius: 99px; padding: .02rem .6rem; font-size: .8rem;
  font-weight: 600; white-space: nowrap; }
.pill.g { background: var(--good-soft); color: var(--good); }
.pill.b { background: var(--bad-soft); color: var(--bad); }
.pill.w { background: var(--warn-soft); color: var(--warn); }
.pill.i { background: var(--rule); color: var(--soft); }
details { border-top: 1px solid var(--rule); }
details:last-of-type { border-bottom: 1px solid var(--rule); }
summary { cursor: pointer; padding: .55rem 0; display: flex; gap: .7rem; align-items: baseline;
  list-style: none; }
summary::-webkit-details-marker { display: none; }
summary::before { content: ""; flex: none; width: .42rem; height: .42rem;
  border-right: 2px solid var(--soft);
  border-bottom: 2px solid var(--soft); transform: rotate(-45deg) translateY(-.12rem); }
details[open] > summary::before { transform: rotate(45deg) translate(-.05rem, -.15rem); }
summary:hover { color: var(--accent); }
summary .what { flex: 1 1 auto; min-width: 0; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; color: var(--soft); }
summary .index {
  flex: none; max-width: 45%; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
  font-variant-numeric: tabular-nums; font-weight: 600;
}
summary .right { color: var(--soft); font-size: .88rem; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
.body { padding: .1rem 0 1.1rem 1.1rem; display: grid; gap: .8rem; }
.field { display: grid; grid-template-columns: 8rem minmax(0, 1fr); gap: .15rem 1rem; }
.field > span { color: var(--soft); font-size: .85rem; overflow-wrap: anywhere; }
.values { display: grid; gap: .3rem; }
.value { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--ground);
  border: 1px solid var(--rule);
  border-radius: 8px; padding: .35rem .65rem; font-family: var(--mono); font-size: .84rem;
  line-height: 1.5; max-height: 22rem; overflow-y: auto; }
.value.bad { border-color: var(--bad); background: var(--bad-soft); }
.label { color: var(--soft); font-size: .78rem; }
ins, del { text-decoration: none; border-radius: 3px; padding: 0 .1em; }
ins { background: var(--good-soft); color: var(--good); } del { background: var(--bad-soft);
  color: var(--bad); text-decoration: line-through; }
footer { color: var(--soft); font-size: .85rem; padding-top: 1.6rem; padding-bottom: 3rem;
  overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  header, main, footer { padding-left: 1rem; padding-right: 1rem; }
  nav ul { padding-left: 1rem; padding-right: 1rem; }
  .card { padding: 1rem; }
  .field { grid-template-columns: minmax(0, 1fr); }
  .body { padding-left: 0; }
  .score { font-size: 3rem; }
  .facts div { flex-basis: 40%; }
}
@media print {
  :root {
    color-scheme: light; --ground: #fff; --card: #fff; --ink: #000; --soft: #444; --rule: #ccc;
    --accent: #3557d6; --accent-soft: #dfe6fb; --good: #1b7f4d; --good-soft: #d9f0e4;
  --bad: #b3322c;
    --bad-soft: #fbe1df; --warn: #8f5b00; --warn-soft: #fbeccd; --idle: #c9d0da;
  }
  body { font-size: 10.5pt; }
  nav, .skip { display: none; }
  details::details-content { content-visibility: visible; display: block; height: auto; }
  .value { max-height: none; }
  .card, .facts div, tr { break-inside: avoid; }
  section.card { break-inside: auto; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
""".strip()
"""One sheet for all pages; it names no file and no address."""
