"""The `edge rejudge` command: what another bundle says of stored fields, and whether it may be released."""

from dataclasses import dataclass
from pathlib import Path

from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, NOT_ENOUGH_EVIDENCE, UsageError
from edge.settings.model import ModelSettings
from edge.system.option_values import optional_path, whole_number

CODES = {"pass": DONE, "fail": ANSWER_IS_NO, "inconclusive": NOT_ENOUGH_EVIDENCE}
RECORD, PAGE = "rejudge.json", "rejudge.html"


@dataclass(frozen=True)
class RejudgeRequest:
    """Records and exported slides to judge again. `against` None compares with what was stored; `out` None writes
    nothing, and cannot go on where it was cut off.

    >>> rejudge("/srv/record", bundle="/srv/new-int8").model.bundle
    PosixPath('/srv/new-int8')
    """

    sources: tuple[Path, ...]
    model: ModelSettings
    against: Path | None
    limits: Path | None
    out: Path | None
    jobs: int | None
    json: bool
    allow_uncertified: bool
    allow_unsigned: bool
    keys: Path | None = None

    def execute(self) -> Outcome:
        """Judge, and write journal, record and page.

        Returns:
            Code 0 where every limit is kept, 1 where one is not, 3 where there are too few fields to say.

        Raises:
            UsageError: no such source or limits. BundleError: one of the bundles cannot run here.
            StoreError: a source is damaged. OSError: `out` cannot be written.
        """
        import json as json_format
        from dataclasses import replace

        import cv2

        from edge.bundle.trusted import TrustedKeys
        from edge.page.rejudge_report.page import page
        from edge.serving.rejudging.job import Rejudging
        from edge.serving.rejudging.limits import DEFAULT, Limits
        from edge.serving.rejudging.stored_fields import Source
        from edge.serving.serve import serve
        from edge.system.files import require_writable, write_whole

        limits = Limits.read(self.limits or DEFAULT)
        sources = [Source(path) for path in self.sources]
        if self.out is not None:
            require_writable(self.out, "--out")
            self.out.mkdir(exist_ok=True)
        trust = TrustedKeys.load(self.keys)
        new, *others = (
            serve(
                replace(self.model, bundle=bundle),
                trust=trust,
                allow_uncertified=self.allow_uncertified,
                allow_unsigned=self.allow_unsigned,
            )
            for bundle in (self.model.bundle, *([self.against] if self.against else []))
        )
        cv2.setNumThreads(1)  # fields side by side use the cores better than parts of one
        record, checks = Rejudging(sources, new, others[0] if others else None, limits, self.out, self.jobs).run()
        if self.out is not None:
            write_whole(self.out / RECORD, json_format.dumps(record, indent=1) + "\n")
            write_whole(self.out / PAGE, page(record))
        counts = f"{record['judged']} of {record['stored']} stored fields judged again: {record['kept']} answers kept, "
        counts += f"{record['changed']} changed, {record['gained']} gained, {record['lost']} lost"
        lines = [f"{record['verdict']}: {new.bundle.name}; {counts}"]
        lines += [check.why for check in checks if check.verdict != "pass"]
        return Outcome(CODES[record["verdict"]], record, "\n".join(lines))


def rejudge(
    *sources: str,
    bundle: str = "",
    against: str = "",
    limits: str = "",
    out: str = "",
    jobs: str = "",
    runtime: str = "",
    threads: str = "",
    config: str = "",
    json: bool = False,
    allow_uncertified: bool = False,
    allow_unsigned: bool = False,
) -> RejudgeRequest:
    """Say what another bundle makes of every stored field, and whether it may be released. Research use only.

    Compares answers with those of the record, field by field and slide by slide; no licence holds a class back. The
    record is only read. With --out the work goes on where it was cut off.

    Args:
        sources: folders of records, and folders that `edge export` wrote.
        bundle: folder of the bundle to be released.
        against: folder of another bundle, which judges the same fields, in place of the stored verdicts.
        limits: what may change, a TOML file; the limits that ship when left out.
        out: folder for journal, record (rejudge.json) and page (rejudge.html).
        jobs: fields judged at the same time; as many as there are cores for when left out.
        runtime: litert, tflite_runtime or tf_lite; the first that is installed when left out.
        threads: for one inference.
        config: profile; /etc/leukoscope/edge.toml where it exists. Options here come before it.
        json: print the record as JSON.
        allow_uncertified: use a bundle whose certificate does not say "pass".
        allow_unsigned: use a bundle that no key trusted here signed.
    """
    from edge.settings.trusted_keys import machine_profile

    if not sources:
        raise UsageError("edge rejudge needs the folder of a record, or of an exported slide")
    if not bundle:
        raise UsageError("edge rejudge needs --bundle, the folder of the bundle to be released")
    settings = machine_profile(optional_path(config))
    model = ModelSettings() if settings is None else settings.model
    return RejudgeRequest(
        sources=tuple(Path(path) for path in sources),
        model=model.with_options(bundle=bundle, runtime=runtime, threads=threads, edgetpu="", ungated=False),
        against=optional_path(against),
        limits=optional_path(limits),
        out=optional_path(out),
        jobs=whole_number(jobs, "--jobs", at_least=1) if jobs else None,
        json=json,
        allow_uncertified=allow_uncertified,
        allow_unsigned=allow_unsigned,
        keys=None if settings is None else settings.trust.keys,
    )
