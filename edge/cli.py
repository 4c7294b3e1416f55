"""The `edge` command: the functions of its commands, each imported when it is called."""

from edge.commands.command_line import DEFECT, Commands, run_script

COMMANDS = Commands(
    {
        "run": "edge.commands.run:run",
        "page": "edge.commands.page:page",
        "classify": "edge.commands.classify:classify",
        "selftest": "edge.commands.selftest:selftest",
        "control": "edge.commands.site.control:control",
        "verify": "edge.commands.records.verify:verify",
        "collect": "edge.commands.site.collect:collect",
        "export": "edge.commands.records.export:export",
        "slides": "edge.commands.records.slides:slides",
        "heat": "edge.commands.records.heat:heat",
        "rejudge": "edge.commands.records.rejudge:rejudge",
        "prune": "edge.commands.records.prune:prune",
        "setup-camera": "edge.commands.site.setup_camera:setup_camera",
        "bench": "edge.commands.bench:bench",
        "update": "edge.commands.bundles.update:update",
        "rollback": "edge.commands.bundles.rollback:rollback",
        "slots": "edge.commands.bundles.slots:slots",
        "doctor": "edge.commands.doctor:doctor",
    }
)


def main() -> None:
    """Console script `edge`. A defect exits with 70: 1 is an answer, after which systemd does not start it again."""
    run_script("edge", COMMANDS, defect=DEFECT)


if __name__ == "__main__":
    main()
