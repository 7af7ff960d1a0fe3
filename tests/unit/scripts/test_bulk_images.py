"""python -m pytest tests/unit/scripts/test_bulk_images.py

An image of a row may be a path, a file's bytes or a data URL; what can't be read is refused without its name.
"""

import base64
from pathlib import Path

import pytest

from scripts.bulk.images import UnreadableImageError, data_url


def test_all_forms_are_the_same_image(tmp_path: Path) -> None:
    path = tmp_path / "page.png"
    path.write_bytes(b"page")
    url = f"data:;base64,{base64.b64encode(b'page').decode()}"
    assert [data_url(source) for source in (str(path), b"page", url)] == [url] * 3


@pytest.mark.parametrize("source", ["kestrel.png", "", "/", "a\0kestrel"])
def test_a_file_that_can_not_be_read_is_refused(source: str) -> None:
    with pytest.raises(UnreadableImageError, match="the file can't be read") as refused:
        data_url(source)
    assert "kestrel" not in str(refused.value)
