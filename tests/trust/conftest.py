"""A study that tests may spoil."""

import json
import shutil

import pytest

from explorer.core.files import data_folder


@pytest.fixture
def copied(tmp_path):
    """The folder of a study that may be changed."""
    folder = tmp_path / "digits"
    shutil.copytree(data_folder("studies") / "digits", folder)
    return folder


def manifest_with(folder, **values):
    """The same folder, with other values in its manifest."""
    path = folder / "study.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return folder
