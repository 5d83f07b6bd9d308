"""A small configuration on disk, and what `check` says of it, without the directory's name."""

from pathlib import Path

from bluegreen.config.load import check

DAEMON = "state: {directory: state}\ncontrol: {socket: control.sock}\n"

SERVICE = """\
service: web
environments:
  blue: {url: "http://127.0.0.1:8001"}
  green: {url: "http://127.0.0.1:8002"}
switch_points:
  - {kind: memory}
deploy:
  kind: command
  run: [./deploy.sh, "{environment}", "{version}"]
"""


def write(directory: Path, service: str = SERVICE, daemon: str = DAEMON, **more: str) -> Path:
    """Write the files; return the daemon's. `more` are services' files by name."""
    services = directory / "services"
    services.mkdir(exist_ok=True)
    for name, text in {"web": service, **more}.items():
        (services / f"{name}.yaml").write_text(text)
    file = directory / "bluegreen.yaml"
    file.write_text(daemon)
    return file


def said(file: Path) -> list[str]:
    """Every fault and warning, as an operator reads it in the file's directory."""
    config, faults = check(file)
    assert (config is None) == any(fault.severity == "error" for fault in faults)
    return [str(fault).replace(f"{file.parent}/", "") for fault in faults]
