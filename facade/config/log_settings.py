"""Settings of every process: its log, and `SHOW_CONFIG`."""

from dataclasses import dataclass

from facade.config.parse import flag, one_of
from facade.config.setting import Group, setting


@dataclass(frozen=True, kw_only=True)
class LogSettings(Group):
    """What a process writes about itself."""

    log_level: str = setting(
        "NIM_LOG_LEVEL", "INFO", one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"), "DEBUG, INFO, WARNING, ERROR or CRITICAL"
    )
    jsonl: bool = setting("NIM_JSONL_LOGGING NIM_LOGGING_JSONL", False, flag, "1: one JSON object per log line")
    log_format: str | None = setting(
        "LOG_FORMAT", None, one_of("pretty", "compact", "json"), "as in NIM 2.x; `json` is the same as `NIM_JSONL_LOGGING=1`"
    )
    show_config: bool = setting("SHOW_CONFIG", False, flag, "1: print all settings and exit, like `python -m facade --show-config`")

    @property
    def json_logs(self) -> bool:
        """Whether each log line is a JSON object."""
        return self.jsonl or self.log_format == "json"
