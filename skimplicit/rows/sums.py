"""What a pass sums over rows: records that add up field by field."""

from dataclasses import dataclass, fields

__all__ = ["Sums"]


@dataclass(frozen=True)
class Sums:
    """Base of the records that blocks of rows return: ``a + b`` adds their fields, of which None stays None."""

    def __add__(self, other):
        pairs = ((getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return type(self)(*(None if mine is None else mine + yours for mine, yours in pairs))
