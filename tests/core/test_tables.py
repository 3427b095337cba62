"""CSV files as spreadsheets and other programs write them: read as meant, or refused with the cause; no number changes."""

import pytest

from explorer.core.errors import InputError
from explorer.core.files import read_json
from explorer.core.tables import column_name, read_csv
from explorer.devices import read_measurements
from explorer.spaces import SPACES

TINY = SPACES["mobile-tiny"]
KEYS = ("a0000000000", "a1000000000")


@pytest.mark.parametrize(
    "data",
    [
        "key,latency_us\n{0},125\n{1},250.5\n",
        "\ufeffkey,latency_us\n{0},125\n{1},250.5\n",
        "key;latency_us\n{0};125\n{1};250,5\n",
        "sep=;\nkey;latency_us\n{0};125\n{1};250,5\n",
        "key\tlatency_us\n{0}\t125\n{1}\t250,5\n",
        "KEY,Latency (us)\n{0},125\n{1},250.5\n",
        "Key,Latency [µs]\r\n{0}, 125\r\n\r\n{1}, 250.5\r\n",
        'key,"latency us"\n{0},"125"\n{1},"250.5"\n',
        "latency_microseconds,note,key\n125,,{0}\n250.5,,{1}\n",
    ],
)
def test_spellings_of_one_table_give_one_result(data, tmp_path):
    for encoding in ("utf-8", "utf-16"):
        path = tmp_path / "measured.csv"
        path.write_bytes(data.format(*KEYS).encode(encoding))
        codes, ms = read_measurements(path, TINY)
        assert codes.tolist() == [[0] * 10, [1] + [0] * 9]
        assert ms.tolist() == [0.125, 0.2505]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("key,latency_ms\n{0},1,25\n", "line 2: 3 cells, but there are 2 columns"),
        ("key;latency_ms\n{0};1,25\n{1};1.25\n", "line 3: latency_ms '1.25'"),
        ("key;latency_ms\n{0};1.234,5\n{1};1,25\n", "line 2: latency_ms '1.234,5'"),
        ("key\tlatency_ms\n{0}\t1,250\n{1}\t2,500\n", "line 2: latency_ms '1,250' has a comma that can be"),
        ("key,Latency\n{0},1\n", "does not name its unit"),
        ("key,latency (cycles)\n{0},1\n", "does not name its unit"),
        ("key,Latency (ms),latency_ms\n{0},1,2\n", "and 'latency_ms' have the same name"),
        ("network,latency_ms\n{0},1\n", r"no column 'key' \(its columns: network, latency_ms\)"),
        ("key,latency_ms\n\n\n{0},1\n\nb,1\n", "line 6: architecture 'b'"),
        ("", "has no rows"), ("key,latency_ms\n", "has no rows"),
    ],
)  # fmt: skip
def test_what_can_be_read_in_two_ways_is_refused(data, words, tmp_path):
    path = tmp_path / "measured.csv"
    path.write_text(data.format(*KEYS))
    with pytest.raises(InputError, match=words):
        read_measurements(path, TINY)


def test_thousands_with_semicolons_are_decimals_there(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("key;latency_ms;note\nx;1,250;a, b\n")
    assert read_csv(path).rows[0].cells == {"key": "x", "latency_ms": "1.250", "note": "a, b"}


def test_names_of_columns():
    assert column_name("Latency(ms)") == column_name("latency / ms") == column_name(" LATENCY_MS ") == "latency_ms"


def test_a_key_that_a_json_object_has_twice(tmp_path):
    path = tmp_path / "device.json"
    path.write_text('{"name": "a", "blocks": {"x": 1, "x": 2}}')
    with pytest.raises(InputError, match="'x' occurs twice"):
        read_json(path)
    path.write_bytes(b'\xef\xbb\xbf{"name": "a"}')
    assert read_json(path) == {"name": "a"}
