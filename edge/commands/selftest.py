"""The `edge selftest` command."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from edge.bundle.trusted import TrustedKeys
from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, BundleError, ModelFileError
from edge.record.location import default_store
from edge.serving.selftest import SelfTester
from edge.serving.serve import serve
from edge.settings.profile import Settings, load
from edge.system.option_values import switch

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SelfTestRequest:
    """Test one bundle on this machine."""

    settings: Settings
    store: Path
    json: bool
    allow_uncertified: bool
    allow_unsigned: bool

    def execute(self) -> Outcome:
        """Verify the bundle, replay its golden inputs, time it, and keep the outcome.

        Returns:
            Code 0 when it passed, 1 when not; the record of `SelfTest.as_record`.

        Raises:
            BundleError: missing, altered, not signed by a trusted key, not certified. InterpreterUnavailable: none.
        """
        model = self.settings.model
        tester = SelfTester(self.store)
        try:
            served = serve(
                model.bundle,
                runtime=model.runtime,
                threads=model.threads,
                edgetpu=model.edgetpu,
                fallback=model.fallback,
                trust=TrustedKeys.load(self.settings.trust.keys),
                allow_uncertified=self.allow_uncertified,
                allow_unsigned=self.allow_unsigned,
                any_name=True,
                prove=False,
            )
            found = tester.examine(served.bundle, served.classifier.interpreter)
        except (BundleError, ModelFileError) as error:
            tester.failed(str(model.bundle or "the shipped bundle"), error)
            raise
        if not found.passed:
            _log.error(f"{found.detail}")
        return Outcome(DONE if found.passed else ANSWER_IS_NO, found.as_record(), found.text())


def selftest_request(
    *,
    bundle: str,
    runtime: str,
    threads: str,
    edgetpu: str,
    store: str,
    trusted: str,
    config: str,
    json: object,
    allow_uncertified: object,
    allow_unsigned: object,
) -> SelfTestRequest:
    """The request that the words of a command line make, over the profile; UsageError where they make none."""
    settings = load(Path(config) if config else None)
    model = settings.model.with_words(bundle=bundle, runtime=runtime, threads=threads, edgetpu=edgetpu)
    trust = replace(settings.trust, keys=Path(trusted)) if trusted else settings.trust
    return SelfTestRequest(
        settings=replace(settings, model=model, trust=trust),
        store=Path(store) if store else settings.record.folder or default_store(),
        json=switch(json, "--json"),
        allow_uncertified=switch(allow_uncertified, "--allow-uncertified"),
        allow_unsigned=switch(allow_unsigned, "--allow-unsigned"),
    )
