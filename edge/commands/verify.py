"""The `edge verify` command."""

import logging
from dataclasses import dataclass
from pathlib import Path

from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE
from edge.record.audit import verify
from edge.record.location import require_record, store_folder
from edge.system.option_values import switch

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VerifyRequest:
    """Check the record in `store`."""

    store: Path
    json: bool

    def execute(self) -> Outcome:
        """Code 0 when the record is sound, 1 with findings.

        Raises:
            UsageError: there is no record in that folder.
        """
        require_record(self.store)
        report = verify(self.store, say=_log.info)
        return Outcome(DONE if report.sound else ANSWER_IS_NO, record=report.as_record(), text=report.text())


def verify_request(*, store: str, json: object) -> VerifyRequest:
    """The request that the words of a command line make."""
    return VerifyRequest(store=store_folder(store), json=switch(json, "--json"))
