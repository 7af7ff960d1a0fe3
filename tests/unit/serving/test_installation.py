"""python -m pytest tests/unit/serving/test_installation.py

Which tritonserver is started: NVIDIA's, in its image, or the wheel's. The image's folder is put together out of the wheel's parts.
"""

import sys
from pathlib import Path

import pytest

from facade.errors import SettingsError
from scripts.serving.installation import installation

OWN = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """As /opt/tritonserver in NVIDIA's image, whose stub is beside its backend; here it is for this Python."""
    wheel = installation(tmp_path / "none")
    backend = tmp_path / "backends/python"
    backend.mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "lib").symlink_to(wheel.libraries)
    (tmp_path / "bin/tritonserver").symlink_to(wheel.server)
    for file in (*wheel.backend.glob("*.so"), *wheel.backend.glob("*.py"), wheel.stub):
        (backend / file.name).symlink_to(file)
    return tmp_path


def other_python(image: Path) -> None:
    """Has the image's stub be for another Python."""
    stub = image / "backends/python/triton_python_backend_stub"
    stub.unlink()
    stub.write_bytes(b"\x7fELF libpython3.99.so.1.0")


def test_in_nvidias_image_its_own_server_is_started(image: Path) -> None:
    found = installation(image)
    assert found.server == image / "bin/tritonserver"
    assert found.stub == image / "backends/python/triton_python_backend_stub"
    assert found.libraries == image / "lib"


def test_where_its_stub_is_for_another_python_the_wheel_is(image: Path) -> None:
    other_python(image)
    assert "pytriton" in installation(image).server.parts
    assert OWN in installation(image).stub.parts


def test_without_the_wheel_the_error_says_which_python_to_take(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytriton", None)
    other_python(image)
    with pytest.raises(SettingsError, match="start with the Python that the image has"):
        installation(image)


def test_with_neither_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytriton", None)
    with pytest.raises(SettingsError, match="nvidia-pytriton"):
        installation(tmp_path)
