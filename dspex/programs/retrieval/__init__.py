"""Finding by meaning: an index of vectors, and programs over it.

`VectorIndex` is texts with their vectors, made once by a client that embeds; `Retrieve` gives the
passages nearest to a query; `KNN` the examples nearest to some inputs. Searching is exact, by
cosine, in numpy. An index is saved as data; a program that holds one can be saved once the index
stands in a file.
"""

from __future__ import annotations

from dspex.programs.retrieval.index import Embedder, Hit, VectorIndex
from dspex.programs.retrieval.retrieve import KNN, Retrieve

__all__ = ("KNN", "Embedder", "Hit", "Retrieve", "VectorIndex")
