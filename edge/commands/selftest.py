"""The `edge selftest` command."""

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, BundleError, ModelFileError
from edge.system.option_values import optional_path

if TYPE_CHECKING:
    from edge.settings.profile import Settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SelfTestRequest:
    """Test one bundle on this machine.

    >>> selftest("/srv/tiny-int8", json=True).json
    True
    """

    settings: "Settings"
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
        from edge.bundle.trusted import TrustedKeys
        from edge.serving.selftest import SelfTester
        from edge.serving.serve import serve

        settings, tester = self.settings, SelfTester(self.settings.store)
        try:
            served = serve(
                settings.model,
                trust=TrustedKeys.load(settings.trust.keys),
                allow_uncertified=self.allow_uncertified,
                allow_unsigned=self.allow_unsigned,
                any_name=True,
                gates_off=settings.gates_off,
                prove=False,
            )
            found = tester.examine(served.bundle, served.classifier.interpreter)
            found = replace(found, gates=served.gates.names, ungated=served.ungated)
        except (BundleError, ModelFileError) as error:
            tester.failed(str(settings.model.bundle or "the shipped bundle"), error)
            raise
        if not found.passed:
            _log.error(found.detail)
        return Outcome(DONE if found.passed else ANSWER_IS_NO, found.as_record(), found.text())


def selftest(
    bundle: str = "",
    runtime: str = "",
    threads: str = "",
    edgetpu: str = "",
    store: str = "",
    trusted: str = "",
    config: str = "",
    json: bool = False,
    allow_uncertified: bool = False,
    allow_unsigned: bool = False,
    ungated: bool = False,
) -> SelfTestRequest:
    """Prove that this machine answers as its bundle was certified: replay the golden images, and time it.

    Exit code 1 when an image is answered otherwise. An inference far slower than expected is a warning. The outcome is
    kept beside the record, where `edge doctor` shows it. `edge run` does the same at its start and once a day.

    Args:
        bundle: folder of a model with its certificate; the one that would run when left out.
        runtime: litert, tflite_runtime or tf_lite; the first that is installed when left out.
        edgetpu: usb, pci, usb:N or pci:N: run the model compiled for the Edge TPU there; the CPU when left out.
        threads: for one inference.
        store: folder of the record, beside whose files the outcome is kept.
        trusted: folder of trusted keys; the profile's, or the machine's own, when left out.
        config: profile; /etc/leukoscope/edge.toml where it exists. Options here come before it.
        json: print one JSON object: passed, images, differing, invoke_ms, expected_ms, warnings.
        allow_uncertified: use a bundle whose certificate does not say "pass".
        allow_unsigned: use a bundle that no key trusted here signed.
        ungated: test a bundle that is to judge every frame, whatever its gates say; for one without gates.
    """
    from edge.settings.profile import load

    settings = load(optional_path(config)).with_options(
        bundle=bundle,
        runtime=runtime,
        threads=threads,
        edgetpu=edgetpu,
        store=store,
        trusted=trusted,
        ungated=ungated,
    )
    return SelfTestRequest(settings, json, allow_uncertified, allow_unsigned)
