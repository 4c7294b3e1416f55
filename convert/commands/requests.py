"""What each `convert` command does: frozen requests, checked when made, carried out by `execute`."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from convert.calibration.calibration_set import check
from convert.calibration.evaluation_data import Source
from convert.parity.policy import Policy
from convert.tflite.inspection import inspect_file
from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, NOT_ENOUGH_EVIDENCE
from edge.system.files import require_file, require_writable, write_whole

_log = logging.getLogger(__name__)

EXIT_CODES = {"pass": DONE, "fail": ANSWER_IS_NO, "inconclusive": NOT_ENOUGH_EVIDENCE}


@dataclass(frozen=True)
class QuantizeRequest:
    """Convert models to certified int8 bundles.

    Attributes:
        models: files or folders of float models; a bundle is named after each.
        contract: what the models are fed; found beside each model or inferred when None.
        data: images, a folder a class; drawn fields when None.
        calibration_count, method, seed: of the calibration set.
        images_in_report: embed the images that changed class, which a published bundle must not hold.
        force: convert again even when nothing has changed.
        search: look for the way to quantize that decides most like the float network.
    """

    models: tuple[Path, ...]
    contract: Path | None
    data: Path | None
    split: Path | None
    policy: Policy
    out: Path
    io: Literal["int8", "uint8"]
    calibration_count: int
    method: str
    seed: int
    images_in_report: bool
    force: bool
    search: bool
    json: bool

    def execute(self) -> Outcome:
        """One bundle a model; the exit code is that of the worst verdict."""
        from convert.certification.job import Settings, quantize_model
        from convert.commands.summary import verdict_table

        require_writable(self.out, "--out")
        settings = Settings(
            self.policy,
            self.io,
            self.calibration_count,
            self.method,
            self.seed,
            self.images_in_report,
            self.force,
            self.search,
        )
        sources: dict[tuple[str, ...], Source] = {}
        certificates: list[dict[str, Any]] = []
        for number, path in enumerate(self.models, start=1):
            certificates.append(quantize_model(path, self.contract, self._source(sources), settings, self.out))
            if certificates[-1].get("search", {}).get("interrupted") and number < len(self.models):
                raise KeyboardInterrupt  # whoever stopped a search did not mean to begin another
        worst = max(
            (EXIT_CODES[c["verdict"]] for c in certificates),
            key=[DONE, NOT_ENOUGH_EVIDENCE, ANSWER_IS_NO].index,
        )
        return Outcome(worst, {"bundles": certificates}, verdict_table(certificates))

    def _source(self, opened: dict[tuple[str, ...], Source]) -> Any:
        """From labels to images, each set of labels scanned once; None without data."""
        if self.data is None:
            return None
        data = self.data

        def source(labels: tuple[str, ...]) -> Source:
            if labels not in opened:
                _log.info(f"scanning {data}")
                opened[labels] = Source.open(data, labels, self.split)
            return opened[labels]

        return source


@dataclass(frozen=True)
class ParityRequest:
    """Compare a float model with a TFLite file or bundle, without converting anything."""

    model: Path
    int8: Path
    contract: Path | None
    data: Path | None
    split: Path | None
    policy: Policy
    report: Path | None
    json: bool

    def execute(self) -> Outcome:
        """Exit 0 pass, 1 fail, 3 not enough images to say."""
        from convert.certification.job import judge_pair

        if self.report is not None:
            require_file(self.report, "--report")
        source = None if self.data is None else lambda labels: Source.open(self.data, labels, self.split)  # type: ignore[arg-type]
        record, text = judge_pair(self.model, self.int8, self.contract, source, self.policy, self.report)
        return Outcome(EXIT_CODES[record["verdict"]], record, text)


@dataclass(frozen=True)
class CalibrationRequest:
    """Look a calibration set over before a converter learns from it."""

    source: Path
    model: Path | None
    contract: Path | None
    json: bool

    def execute(self) -> Outcome:
        """Exit 1 when the lint refuses the set."""
        from convert.quantization.float_model import infer_contract, load_float
        from edge.inference.contract import InputContract
        from models.training.training_statistics import TrainingStatistics

        statistics = None
        if self.model is not None:
            contract = infer_contract(load_float(self.model), self.contract).contract
            statistics = TrainingStatistics.beside(self.model)
        else:
            assert self.contract is not None  # the command line asks for one of the two
            contract = InputContract.load(self.contract)
        found = check(self.source, contract, statistics=statistics)
        lines = [f.to_text() for f in found.findings] or ["nothing to say against it"]
        verdict = "refused" if found.refused else "usable"
        record = {**found.record(), "verdict": verdict}
        code = ANSWER_IS_NO if found.refused else DONE
        return Outcome(code, record, "\n".join([f"{len(found.names)} images: {verdict}", *lines]))


@dataclass(frozen=True)
class InspectRequest:
    """Say what is inside a TFLite file."""

    file: Path
    json: bool

    def execute(self) -> Outcome:
        """Works on any TFLite file."""
        found = inspect_file(self.file)
        return Outcome(DONE, found.to_record(), found.to_text())


@dataclass(frozen=True)
class SummaryRequest:
    """The figures of the shipped networks as one table, from the files that hold them."""

    check: Path | None
    write: Path | None
    json: bool

    def execute(self) -> Outcome:
        """With `check`, exit 1 when the document's table is not the files'; with `write`, put it there."""
        from convert.commands.summary import shipped_rows, shipped_table, table_in, with_table

        table = shipped_table()
        if self.check is not None and table_in(self.check.read_text(encoding="utf-8")) != table:
            return Outcome(ANSWER_IS_NO, {"current": False}, f"{self.check}: its table is not the files'")
        if self.write is not None:
            text = self.write.read_text(encoding="utf-8")
            write_whole(self.write, with_table(text, table))
        return Outcome(DONE, {"rows": shipped_rows()}, table)
