"""Studies: opening, querying, making and extending them. A study is one folder with everything that was trained."""

from explorer.study.opening import find_study, open_study, study_names
from explorer.study.origin import Origin
from explorer.study.study import Study, fingerprint

__all__ = ["Origin", "Study", "find_study", "fingerprint", "open_study", "study_names"]
