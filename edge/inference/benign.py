"""Which labels are benign: to answer one of them wrongly is the worst that a model can do.

Every count of that error, every threshold and every page asks `InputContract.benign_labels`, which asks here.
"""

from collections.abc import Sequence

from edge.errors import ContractError

SPELT = "benign"  # a label so spelt, in any case of letters, is benign unless the contract says otherwise
NOT_COUNTED = "not counted"  # stands where a number would, and where a 0 would be taken for safety
Recorded = str | tuple[str, ...] | None  # see `recorded`


def benign_labels(labels: Sequence[str], named: Sequence[str] | None = None) -> tuple[str, ...]:
    """The benign ones of `labels`, in their order: those `named`, else those spelt so; none where neither is.

    >>> benign_labels(["sick", "healthy"], ["healthy"]), benign_labels(["Pro", "BENIGN"]), benign_labels(["a", "b"])
    (('healthy',), ('BENIGN',), ())
    """
    if named is not None:
        return tuple(label for label in labels if label in named)
    return tuple(label for label in labels if label.casefold() == SPELT)


def check_named(labels: Sequence[str], named: Sequence[str]) -> None:
    """ContractError unless `named` are different labels and leave one that is not benign."""
    unknown = [label for label in named if label not in labels]
    if unknown:
        raise ContractError(f"benign must name labels of {list(labels)}; got {unknown[0]!r}")
    if len(set(named)) != len(named):
        raise ContractError(f"benign must name each label once; got {list(named)}")
    if len(named) == len(labels):
        raise ContractError("benign must leave a label that is not benign, or no answer is worse than another")


def in_words(benign: Sequence[str]) -> str:
    """For headings and messages: "Benign", "healthy or normal", and "benign" where no label is.

    >>> in_words(("healthy", "normal"))
    'healthy or normal'
    """
    return " or ".join(benign) or SPELT


def recorded(benign: Sequence[str]) -> Recorded:
    """As records hold it: None without such a label, one as text, several as a list.

    >>> recorded(("Benign",)), recorded(())
    ('Benign', None)
    """
    return None if not benign else benign[0] if len(benign) == 1 else tuple(benign)


def as_labels(recorded: Recorded) -> tuple[str, ...]:
    """What `recorded` was made of.

    >>> as_labels("Benign"), as_labels(None)
    (('Benign',), ())
    """
    return () if recorded is None else (recorded,) if isinstance(recorded, str) else recorded


def indices(labels: Sequence[str], benign: Sequence[str]) -> list[int]:
    """Positions of the benign labels in a model's output.

    >>> indices(["Benign", "Pre", "Pro"], ("Pro",))
    [2]
    """
    return [k for k, label in enumerate(labels) if label in benign]
