"""The `convert verify` command."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.signing.keys import load_public
from edge.bundle.provenance import BY_LAXER_POLICY, ON_SYNTHETIC
from edge.bundle.trusted import TrustedKeys
from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, BundleError, UsageError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VerifyRequest:
    """Is `bundle`, a folder or zip file, signed by one of the keys in `public`, files or one folder of trusted keys?

    >>> verify("dots.zip", public="laboratory.pub").public
    (PosixPath('laboratory.pub'),)
    """

    bundle: Path
    public: tuple[Path, ...]
    json: bool

    def execute(self) -> Outcome:
        """Code 0 valid, 1 not.

        Record: `path`, `valid`, `reason` (null when valid); and `bundle`, `version`, `digest`, `signed_at`, `keys` (ids
        of those that hold), `verdict` (the certificate's), `synthetic_certificate` (it rests on synthetic images),
        `acceptance` (by which site and what it shows), all null where not valid.

        Raises:
            UsageError: no such bundle. KeyFileError, TrustError: keys that cannot be read.
        """
        from convert.signing import signing

        trust = self._trust()
        if not self.bundle.exists():
            raise UsageError(f"{self.bundle}: no such folder or zip file")
        record: dict[str, Any] = {"path": str(self.bundle), "valid": False, "reason": None}
        record |= dict.fromkeys(
            (
                *("bundle", "version", "digest", "signed_at", "keys", "verdict", "synthetic_certificate", "lax_policy"),
                "acceptance",
            )
        )
        try:
            found = signing.verify(self.bundle, trust)
        except BundleError as error:
            return Outcome(ANSWER_IS_NO, {**record, "reason": str(error)}, f"not valid: {error}")
        assert found.signed is not None  # keys are held: `verify` raises otherwise
        said, keys = found.signed.statement, found.signed.keys
        record |= {
            "valid": True,
            "bundle": said.bundle,
            "version": said.version,
            "digest": found.digest,
            "signed_at": said.signed_at,
            "keys": list(keys),
            "verdict": found.certificate["verdict"],
            "synthetic_certificate": found.synthetic,
            "lax_policy": found.lax_policy,
            "acceptance": found.accepted,
        }
        names = " and ".join(f"{trust.keys[key].name} ({key[:12]})" for key in keys)
        text = (
            f"valid: {said.bundle}, version {said.version}, bundle {found.digest}\nsigned by {names}, {said.signed_at}"
        )
        text += f"\n{found.accepted}"
        if not found.certified:
            text += f"\nits certificate says {found.certificate['verdict']!r}: devices refuse it"
        if found.synthetic:
            text += f"\n{ON_SYNTHETIC}: its accuracy is not known"
        if found.lax_policy:
            text += f"\n{BY_LAXER_POLICY}: {found.lax_policy}"
        return Outcome(DONE, record, text)

    def _trust(self) -> TrustedKeys:
        from convert.signing.signing import public_keys

        if len(self.public) == 1 and self.public[0].is_dir():
            return TrustedKeys.load(self.public[0])
        return public_keys(tuple(load_public(path) for path in self.public))


def verify(bundle: str, *more: str, public: str, json: bool = False) -> VerifyRequest:
    """Is a bundle whole, and signed by one of these keys? Exit code 0 when it is, 1 when not.

    Args:
        bundle: its folder, or a zip file of `convert pack`.
        more: further keys, after the one that --public names.
        public: NAME.pub, or a folder as devices have it, with its revocations.
        json: print one JSON object.
    """
    return VerifyRequest(Path(bundle), tuple(Path(path) for path in (public, *more)), json)
