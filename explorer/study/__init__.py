"""A study: one folder with everything that was trained; how it is opened, asked, made and widened."""

from explorer.study.opening import find_study, open_study, study_names
from explorer.study.origin import Origin
from explorer.study.study import Study, fingerprint

__all__ = ["Origin", "Study", "find_study", "fingerprint", "open_study", "study_names"]
