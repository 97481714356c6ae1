"""Rows beyond memory: what passes keep goes to a temporary file, and pages of a memory map are given back."""

import mmap
import os
import tempfile
import weakref
from dataclasses import dataclass

import numpy as np

__all__ = ["ArrayInBlocks", "release"]

# Bytes of an array in blocks that stay in memory; three of them are held at a time. The blocks beyond are written to a
# temporary file and read when a pass comes to them.
_MOST_KEPT = 200_000_000


@dataclass(frozen=True)
class _Spilled:
    """An array in a temporary file, which is gone when the array in blocks is that it belongs to."""

    file: object
    offset: int
    shape: tuple

    def load(self):
        array = np.empty(self.shape)
        view, done = memoryview(array).cast("B"), 0
        while done < len(view):
            done += os.preadv(self.file.fileno(), [view[done:]], self.offset + done)
        return array


class ArrayInBlocks:
    """An array of a row for each sample, in blocks of rows.

    Parameters
    ----------
    arrays : iterable of ndarray
        The blocks, taken one by one.
    """

    def __init__(self, arrays):
        self._parts, file, kept = [], None, 0
        for array in arrays:
            kept += array.nbytes
            if kept > _MOST_KEPT:
                if file is None:
                    file = tempfile.TemporaryFile(prefix="skimplicit-")
                    weakref.finalize(self, file.close)
                offset = file.tell()
                file.write(np.ascontiguousarray(array).data)
                array = _Spilled(file, offset, array.shape)
            self._parts.append(array)
        if file is not None:
            file.flush()

    def __len__(self):
        return len(self._parts)

    def block(self, k):
        """Return the rows of block k, an ndarray."""
        part = self._parts[k]
        return part.load() if isinstance(part, _Spilled) else part

    def __mul__(self, factor):
        return ArrayInBlocks(self.block(k) * factor for k in range(len(self)))


def release(array):
    """Give the pages of a part of a memory map back to the system, which reads them again when they are asked for.

    Parameters
    ----------
    array : ndarray
        Consecutive rows of a memory map, or any other array, with which nothing is done.
    """
    root, mode = array, None
    while isinstance(root, np.ndarray):
        mode = getattr(root, "mode", mode)
        root = root.base
    if not isinstance(root, mmap.mmap) or mode not in ("r", "r+", "w+") or not hasattr(mmap, "MADV_DONTNEED"):
        return  # what has been written to a copy of the file is nowhere else
    if array.size == 0:
        return
    # NumPy's byte_bounds has another place before 2.0.
    ways = (np.array(array.shape) - 1) * array.strides
    origin = array.__array_interface__["data"][0]
    lowest, highest = origin + ways[ways < 0].sum(), origin + ways[ways > 0].sum() + array.itemsize
    first = lowest - np.frombuffer(root, dtype=np.uint8).__array_interface__["data"][0]
    start = first + (-first) % mmap.PAGESIZE
    length = first + highest - lowest - start
    if length > 0:
        root.madvise(mmap.MADV_DONTNEED, start, length)
