"""A study: one folder with everything that was trained; how it is opened, asked, made and widened."""

from explorer.study.study import Study, find_study, fingerprint, open_study, study_names

__all__ = ["Study", "find_study", "fingerprint", "open_study", "study_names"]
