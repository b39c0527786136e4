"""Sparse matrices for many small products: SciPy copies a factor whose numbers are of another type, at each product."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array


def narrow(matrix: csr_array) -> csr_array:
    """The same values; their places have 32 bits where these are enough. `matrix` itself where they have already."""
    places = matrix.indices, matrix.indptr
    largest = max(matrix.nnz, *matrix.shape)
    if all(each.dtype == np.int32 for each in places) or largest > np.iinfo(np.int32).max:
        return matrix
    return csr_array((matrix.data, *(each.astype(np.int32) for each in places)), shape=matrix.shape)
