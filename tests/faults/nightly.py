"""Random faults over `edge run`, `export`, `prune` and `verify`, round after round: `make nightly`.

    python -m tests.faults.nightly --seconds 1200 --seed 7

Each round draws from its own seed what is recorded where, what fails meanwhile, who reads and how it ends. After it,
with every fault switched off, three promises are checked (`Ledger`):

- nothing that was announced is lost, unless retention removed it and says so,
- nothing is stored twice,
- every record verifies, or `edge verify` says truly why not: only after a card that lied about syncing lost its power.

Round N of a seed is the same combination every time; what the machine's own timing makes of it differs.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edge.system.interrupts import unwind_on_sigterm
from tests.commands import command
from tests.faults.ledger import Broken, Ledger
from tests.faults.tools import OUTPUTS, Faults, NotHere, Output, Stick, compiled, only_tells_truth, output
from tests.paths import ROOT

BUNDLE = ROOT / "models" / "bundles" / "custom_cnn-int8"
PROFILE = """[camera]
size = [320, 240]
[record]
commit_count = {count}
commit_ms = {ms}
[selftest]
every_hours = 24
"""
_ENDS_WITHIN_S = 180.0  # a command, whatever fails, on a machine that does other work too
_SHIM = ("sync_slow_ms", "sync_fails", "sync_lies", "clock_offset_s", "clock_unsynchronized")
_STICK = ("no_folder_sync", "sync_fails", "sync_lies", "slow_ms", "unplugged", "entries", "no_replace")
_MOST = {"sync_slow_ms": 400, "slow_ms": 150, "clock_offset_s": 4 * 10**7, "entries": 9, "clock_unsynchronized": 1}


@dataclass
class Round:
    """What one round draws."""

    seed: int
    on_stick: bool
    to_stick: bool
    runs: int
    keep: str
    output: Output
    json_lines: bool
    ending: str
    shim_faults: tuple[str, ...]
    stick_faults: tuple[str, ...]
    power_cut: bool
    prune: tuple[str, ...] | None
    retention: str
    commit: tuple[int, int]

    @classmethod
    def draw(cls, seed: int) -> "Round":
        """The round of a seed."""
        dice = random.Random(seed)
        on_stick = dice.random() < 0.4
        return cls(
            seed,
            on_stick=on_stick,
            to_stick=dice.random() < 0.5,
            runs=dice.choice((1, 1, 2)),
            keep=dice.choice(("every", "every", "none")),
            output=dice.choice(("read", "read", *OUTPUTS)),
            json_lines=dice.random() < 0.8,
            ending=dice.choice(("frames", "SIGINT", "SIGTERM", "SIGKILL", "twice")),
            shim_faults=tuple(dice.sample(_SHIM, dice.choice((0, 0, 1, 2)))),
            stick_faults=tuple(dice.sample(_STICK, dice.choice((0, 1, 2)))),
            power_cut=on_stick and dice.random() < 0.5,
            prune=dice.choice((None, ("--gigabytes", "0.00001"), ("--days", "0.001"), ("--gigabytes", "0.0003"))),
            retention=dice.choice(("", "", "[retention]\ngigabytes = 0.001\nonly_exported = {}\n")).format(
                dice.choice(("true", "false"))
            ),
            commit=(dice.choice((1, 4, 32)), dice.choice((10, 50, 250))),
        )

    def __str__(self) -> str:
        where = (
            f"record on {'a stick' if self.on_stick else 'disk'}, export to {'a stick' if self.to_stick else 'disk'}"
        )
        faults = ", ".join((*self.shim_faults, *(f"stick {name}" for name in self.stick_faults))) or "no fault"
        cut = ", power cut" if self.power_cut else ""
        return f"round {self.seed}: {where}; {faults}{cut}; output {self.output}; ends by {self.ending}"


@dataclass
class Summary:
    """What the rounds came to."""

    rounds: int = 0
    announced: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        codes = ", ".join(f"{name} {count}" for name, count in sorted(self.codes.items()))
        told = ", ".join(f"{name} {count}" for name, count in sorted(self.told.items()))
        lines = [f"{self.rounds} rounds, {self.announced} verdicts announced; {codes}", told]
        return "\n".join([*filter(None, lines), *self.broken, f"{len(self.broken)} promises broken"])


class Nightly:
    """Rounds in a folder, which is removed after each."""

    def __init__(self, folder: Path, say: Callable[[str], None] = lambda text: None) -> None:
        self._folder, self._say = folder, say
        self._shim, self._stick = compiled("shim", folder), compiled("stick", folder)
        self.summary = Summary()

    def run(self, seed: int, seconds: float) -> Summary:
        """Rounds of seeds from `seed` on, until the time is over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.round(Round.draw(seed))
            seed += 1
        return self.summary

    def round(self, drawn: Round) -> None:
        """One round, and what it breaks."""
        folder = self._folder / f"round{drawn.seed}"
        folder.mkdir()
        with contextlib.ExitStack() as stack:
            try:
                _Round(drawn, folder, self._shim, self._stick, self.summary, stack).play()
            except Broken as broken:
                self.summary.broken.append(f"{drawn}\n    {broken}")
                self._say(self.summary.broken[-1])
            self.summary.rounds += 1
        shutil.rmtree(folder, ignore_errors=True)


class _Round:
    def __init__(
        self, drawn: Round, folder: Path, shim: Path, stick: Path, summary: Summary, stack: contextlib.ExitStack
    ) -> None:
        self._drawn, self._folder, self._summary = drawn, folder, summary
        self._dice = random.Random(drawn.seed + 1)
        self._faults = Faults(folder / "faults")
        self._environment = {**self._faults.environment(shim), "PYTHONFAULTHANDLER": "1"}
        self._stick = Stick(stick, folder / "stick")
        stack.callback(self._stick.remove)
        self._store = (self._stick.path if drawn.on_stick else folder) / "record"
        self._profile = folder / "edge.toml"
        count, ms = drawn.commit
        self._profile.write_text(PROFILE.format(count=count, ms=ms) + drawn.retention)
        self._ledger = Ledger(self._store, may_be_damaged=False)
        self._exports = 0

    def play(self) -> None:
        for number in range(self._drawn.runs):
            self._run(number)
            self._heal()
            self._check()
        self._export(faulty=True)
        self._heal()
        self._export(faulty=False)
        self._prune()
        self._check()
        self._run(self._drawn.runs, plain=True)  # goes on in what is left
        self._check()
        self._summary.announced += len(self._ledger.announced)

    # --- faults -----------------------------------------------------------------------------------------------

    def _hurt(self) -> None:
        for name in self._drawn.shim_faults:
            self._faults.set(name, self._dice.randint(0, _MOST.get(name, 1)))
        for name in self._drawn.stick_faults:
            if name == "entries" and self._drawn.on_stick:
                continue  # a record has more
            self._stick.faults.set(name, self._dice.randint(2, max(2, _MOST.get(name, 2))))

    def _heal(self) -> None:
        lied = any("sync_lies" in folder for folder in (self._drawn.shim_faults, self._drawn.stick_faults))
        self._faults.clear()
        self._stick.faults.clear()
        if self._drawn.power_cut:
            self._stick.cut()
            self._ledger.may_be_damaged |= lied
            self._summary.told["power cuts"] += 1

    # --- commands ---------------------------------------------------------------------------------------------

    def _run(self, number: int, *, plain: bool = False) -> None:
        """`edge run`, with faults from some moment on, and others beside it."""
        drawn = self._drawn
        camera = f"sim:Early?motion=0&focus_drift=0&empty=0&fps=100&seed={drawn.seed % 7}"
        words = ["run", "--camera", camera, "--every", "--keep", drawn.keep, "--slide", f"S-{number % 2}"]
        words += ["--bundle", str(BUNDLE), "--allow-unsigned", "--frames", str(self._dice.randint(5, 60))]
        kind: Output = "read" if plain else drawn.output
        as_json = plain or drawn.json_lines
        with output(kind) as (writing, reading):
            process = self._start([*words, *(["--json"] if as_json else [])], writing)
            os.close(os.dup(writing))
            said: list[str] = []
            reader = _Reader(reading, said) if reading is not None else None
            if reading is not None:
                _close_writer(writing)
            if not plain:
                self._until_it_speaks(process)
                time.sleep(self._dice.uniform(0, 2.0))
                self._hurt()
                self._beside()
                self._end(process)
            notes = self._wait(process, "run")
            if reader is not None:
                reader.join()
        if as_json:
            self._ledger.announce(said)
        if plain and process.returncode != 0 and not self._ledger.may_be_damaged:
            raise Broken(f"edge run on a healed machine: exit {process.returncode}: {notes[-300:]}")

    def _until_it_speaks(self, process: "subprocess.Popen[str]") -> None:
        """Before that a signal ends Python, not the command."""
        deadline = time.monotonic() + _ENDS_WITHIN_S
        while not (self._folder / "stderr").stat().st_size and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)

    def _beside(self) -> None:
        """What others do while a run goes on."""
        for words in self._dice.sample(
            [["verify"], ["prune", "--days", "1"], ["export", "--slide", "S-0", "--to", str(self._target())]],
            self._dice.choice((0, 1, 2)),
        ):
            self._command(*words)

    def _end(self, process: "subprocess.Popen[str]") -> None:
        time.sleep(self._dice.uniform(0, 1.5))
        if self._drawn.power_cut and self._dice.random() < 0.5:
            self._stick.remove()
            process.kill()
            self._stick.mount()
        elif self._drawn.ending == "twice":
            process.send_signal(signal.SIGINT)
            time.sleep(self._dice.uniform(0.05, 1.0))
            process.send_signal(signal.SIGINT)
        elif self._drawn.ending == "frames":
            self._heal_without_cut()  # while nothing can be stored, a run waits, as it should
        else:
            process.send_signal(getattr(signal, self._drawn.ending))

    def _export(self, *, faulty: bool) -> None:
        if faulty:
            self._hurt()
        to = self._target()
        done = self._command("export", "--slide", "S-0", "--to", str(to))
        if faulty:
            self._heal_without_cut()
        if done.returncode == 0:
            self._ledger.check_export(to)
            self._summary.told["exports"] += 1
        elif done.returncode not in (1, 130) and to.exists() and any(to.iterdir()):
            raise Broken(f"an export that failed ({done.returncode}) left {to}")

    def _heal_without_cut(self) -> None:
        self._faults.clear()
        self._stick.faults.clear()

    def _prune(self) -> None:
        if self._drawn.prune is not None:
            unexported = ["--also-unexported"] if self._dice.random() < 0.5 else []
            self._command("prune", *self._drawn.prune, *unexported)

    def _check(self) -> None:
        """The promises, with every fault off."""
        if not self._store.exists():
            if self._ledger.announced and not self._ledger.may_be_damaged:
                raise Broken("the record is gone")
            return
        done = self._command("verify", "--json")
        if done.returncode == 2 and not self._ledger.announced:
            return  # a record that was never made
        if done.returncode == 1 and self._ledger.may_be_damaged:
            if not json.loads(done.stdout)["findings"]:
                raise Broken("edge verify ends with 1 and says nothing")
            self._summary.told["records damaged by a card that lied, and said so"] += 1
            shutil.rmtree(self._store)
            self._ledger.begin_anew()
            return
        if done.returncode != 0:
            raise Broken(f"edge verify: exit {done.returncode}: {done.stdout[-600:]}{done.stderr[-600:]}")
        self._ledger.check()

    def _target(self) -> Path:
        self._exports += 1
        return (self._stick.path if self._drawn.to_stick else self._folder) / f"export{self._exports}"

    def _start(self, words: list[str], stdout: int) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*command("edge"), *words, "--store", str(self._store), "--config", str(self._profile)],
            stdout=stdout,
            stderr=(self._folder / "stderr").open("w"),
            text=True,
            env=self._environment,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,  # noqa: PLW1509
        )

    def _wait(self, process: "subprocess.Popen[str]", name: str) -> str:
        try:
            process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # faulthandler says where every thread is
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait()
            where = (self._folder / "stderr").read_text(errors="replace")[-4000:]
            raise Broken(f"edge {name} did not end within {_ENDS_WITHIN_S:.0f} s: {where}") from None
        notes = (self._folder / "stderr").read_text(errors="replace")
        self._count(name, process.returncode, notes)
        return notes

    def _command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        more = ["--config", str(self._profile)] if words[0] == "prune" else []
        try:
            done = subprocess.run(
                [*command("edge"), *words, "--store", str(self._store), *more],
                capture_output=True,
                text=True,
                check=False,
                env=self._environment,
                timeout=_ENDS_WITHIN_S,
            )
        except subprocess.TimeoutExpired:
            raise Broken(f"edge {words[0]} did not end within {_ENDS_WITHIN_S:.0f} s") from None
        self._count(words[0], done.returncode, done.stderr)
        return done

    def _count(self, name: str, code: int, notes: str) -> None:
        self._summary.codes[f"{name} {code}"] += 1
        gone = self._drawn.on_stick and (self._drawn.power_cut or "unplugged" in self._drawn.stick_faults)
        if not only_tells_truth(code, notes, medium_gone=gone):
            raise Broken(f"edge {name}: exit {code}: {notes[-1500:]}")


class _Reader:
    """Reads a pipe to its end, on a thread of its own."""

    def __init__(self, descriptor: int, said: list[str]) -> None:
        import threading

        self._stream = os.fdopen(os.dup(descriptor), encoding="utf-8", errors="replace")
        self._thread = threading.Thread(target=lambda: said.extend(self._stream), daemon=True)
        self._thread.start()

    def join(self) -> None:
        self._thread.join(10)
        if not self._thread.is_alive():
            self._stream.close()


def _close_writer(descriptor: int) -> None:
    """Leave the pipe's other end to the process alone, without giving its number away."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)


@contextlib.contextmanager
def rounds(folder: Path | None = None, say: Callable[[str], None] = lambda text: None) -> Iterator[Nightly]:
    """Rounds in a folder of their own."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        yield Nightly(Path(place), say)


def main() -> int:
    """`python -m tests.faults.nightly`: exit code 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description="Random faults over edge run, export, prune and verify.")
    parser.add_argument("--seconds", type=float, default=1200.0)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 10**6, help="of the first round")
    given = parser.parse_args()
    unwind_on_sigterm()
    print(f"seed {given.seed}, {given.seconds:.0f} s", flush=True)
    try:
        with rounds(say=lambda text: print(text, flush=True)) as nightly:
            summary = nightly.run(given.seed, given.seconds)
    except NotHere as why:
        print(f"cannot run here: {why}", file=sys.stderr)
        return 4
    print(summary, flush=True)
    return 1 if summary.broken else 0


if __name__ == "__main__":
    sys.exit(main())
