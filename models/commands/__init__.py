"""Commands of `models`: requests that are checked when made and carried out by `execute`."""

__all__ = ["cross_validation_job", "decision_jobs", "explanation_jobs", "jobs"]
