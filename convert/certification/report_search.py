"""The tables of a search for the int8 file, for the certificate's page: every trial, and what the test part said."""

from convert.recovery.search_log import SearchLog
from edge.page.html.values import Table
from models.statistics.formatting import careful_percent


def trials(log: SearchLog) -> Table:
    """Every trial of the log that `search.json` holds."""
    labelled = log.images.labelled
    head = ["Trial", "Calibration set", "Ranges", "Equalized", "Biases corrected", "Fine-tune steps"]
    head += ["Keep their label", "Lost / gained", "Drift"]
    rows = [
        (
            f"{number} chosen" if number == log.chosen_trial else str(number),
            trial.calibration,
            trial.ranges,
            ("behind ReLU6 too" if trial.equalized_behind_relu6 else "yes") if trial.equalized else "-",
            "yes" if trial.biases_corrected else "-",
            str(trial.fine_tune_steps or "-"),
            careful_percent(trial.agreement),
            f"{trial.lost} / {trial.gained}" if labelled else "-",
            f"{trial.drift_mean:.4f}",
        )
        for number, trial in enumerate(log.trials, start=1)
    ]
    return Table(head, rows, numbers=range(6, 9), strong={log.chosen_trial - 1})


def confirmation(log: SearchLog) -> Table | None:
    """The plain and the chosen file on the test part; None where nothing did better than the plain one."""
    if not log.test:
        return None
    rows = [
        (name, careful_percent(one.agreement), careful_percent(one.accuracy_int8), f"{one.drift_mean:.4f}")
        for name, one in (("plain (trial 1)", log.test.plain), ("chosen", log.test.chosen))
    ]
    return Table(("File", "Keep their label", "Accuracy, int8", "Drift"), rows, numbers=range(1, 4))
