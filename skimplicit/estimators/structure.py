"""The ``structure`` parameter of the estimators: which entries of A may be non-zero."""

import numbers

import numpy as np

__all__ = ["check_structure"]


def check_structure(structure, n_hidden):
    """Return the mask that ``structure`` asks for.

    Parameters
    ----------
    structure : None, array-like of bool of shape (n_hidden, n_hidden), or list of int
        None for no restriction; a mask; or the sizes of the hidden layers of a feedforward network, first layer first.
    n_hidden : int or "auto"
        Number of states n.

    Returns
    -------
    ndarray of bool of shape (n_hidden, n_hidden) or None
        Entries of A that may be non-zero. For layers the states are stacked last layer on top, so that A is strictly
        upper block triangular with the weights from each layer to the next above the diagonal.

    Raises
    ------
    ValueError
        If the shape or the sum of the sizes does not fit ``n_hidden``, entries are of another kind, or ``n_hidden`` is
        ``"auto"`` where no number has taken its place.
    """
    if n_hidden == "auto":
        raise ValueError("n_hidden='auto' is for fit with alpha='auto', which holds rows out; give a number here.")
    if structure is None:
        return None
    if np.ndim(structure) == 1:
        if not all(
            isinstance(size, numbers.Integral) and not isinstance(size, bool) and size > 0 for size in structure
        ):
            raise ValueError(f"structure as a list must hold positive layer sizes, got {structure!r}.")
        if sum(structure) != n_hidden:
            raise ValueError(
                f"The layer sizes of structure must add up to n_hidden={n_hidden}, got {structure!r}; give "
                f"n_hidden={sum(structure)}."
            )
        layer = np.repeat(np.arange(len(structure))[::-1], list(structure)[::-1])
        return layer[:, None] == layer[None, :] + 1
    mask = np.asarray(structure)
    if mask.shape != (n_hidden, n_hidden):
        raise ValueError(
            f"structure must have shape ({n_hidden}, {n_hidden}) = (n_hidden, n_hidden), got {mask.shape}."
        )
    if mask.dtype != bool:
        raise ValueError(f"structure as a matrix must be boolean, got dtype {mask.dtype}.")
    return mask
