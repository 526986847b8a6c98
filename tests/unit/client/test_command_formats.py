"""What the command line prints: tables for people, summaries of thousands, JSON, CSV and plain text for programs."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from maskrelay.client.cli import main
from tests.unit.client.services import JOB, Answer, job, problem, service
from tests.unit.client.services import item as item_of


def failed(number: int) -> dict[str, Any]:
    error = {"code": "truncated", "detail": "It ends too early."}
    return {"custom_id": str(number), "source_name": f"in/{number}.png", "state": "failed", "error": error}


def answers(*items: dict[str, Any], state: str = "partial") -> tuple[Answer, Answer]:
    return job(state=state), Answer(200, {"items": list(items), "next": None})


def test_thousands_of_masks_are_a_summary_and_failures_are_named_by_file(
    use, capsys: pytest.CaptureFixture[str]
) -> None:
    good = [{**item_of(str(number)), "source_name": f"in/{number}.png"} for number in range(3000)]
    with service(*answers(*good, *(failed(number) for number in range(3000, 3050)))) as one:
        use(one)
        assert main(["status", "j1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 60
    assert ["disc", "3000", "0", "0"] in [line.split() for line in lines]
    assert any(line.startswith("in/3000.png") and "truncated: It ends too early." in line for line in lines)
    assert "and 10 more (in all: 50 truncated); --csv lists them all" in lines


def test_csv_has_a_row_for_each_mask_and_each_failure(use, capsys: pytest.CaptureFixture[str]) -> None:
    with service(*answers({**item_of("0"), "source_name": "in/0.png"}, failed(1))) as one:
        use(one)
        assert main(["status", "j1", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["source_name"], row["prompt"], row["area_px"], row["error_code"]) for row in rows] == [
        ("in/0.png", "disc", "1", ""),
        ("in/1.png", "", "", "truncated"),
    ]


def test_csv_has_no_text_that_a_spreadsheet_would_run(use, capsys: pytest.CaptureFixture[str]) -> None:
    with service(*answers({**item_of("=1+1"), "source_name": "@in.png"})) as one:
        use(one)
        assert main(["status", "j1", "--csv"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["custom_id"], row["source_name"], row["area_px"]) == ("'=1+1", "'@in.png", "1")


def test_the_format_for_agents_is_complete_and_plain(use, capsys: pytest.CaptureFixture[str]) -> None:
    items = [item_of(str(number)) for number in range(100)]
    with service(*answers(*items, {**failed(100), "source_name": "a\x1b[2J.png"})) as one:
        use(one)
        assert main(["status", "j1", "--format", "agent"]) == 0
    told = capsys.readouterr().out
    lines = told.splitlines()
    assert lines[:2] == ["job: j1", "state: partial"]
    masks = lines[lines.index("masks:") + 2 : lines.index("failures:")]
    assert [row.split("\t")[0] for row in masks] == [str(number) for number in range(100)]
    assert "\x1b" not in told
    assert lines[-1] == "next: maskrelay fetch j1 FOLDER"


def test_options_of_all_commands_are_taken_before_and_after_the_command(
    use, capsys: pytest.CaptureFixture[str]
) -> None:
    with service(Answer(200, {"jobs": [JOB], "next": None})) as one:
        use(one)
        for words in (["--json", "jobs"], ["jobs", "--json"], ["--format", "json", "jobs"]):
            assert main(words) == 0
            assert json.loads(capsys.readouterr().out)[0]["id"] == "j1"
        assert main(["jobs", "--csv"]) == 0
        assert capsys.readouterr().out.splitlines()[1].startswith("j1,succeeded,2,2,0,")


def test_quiet_shows_no_progress_and_no_hints(use, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo, notes = tmp_path / "a.png", tmp_path / "notes.txt"
    photo.write_bytes(b"x")
    notes.write_text("x")
    with service(job(state="running"), job(), Answer(200, {"items": [], "next": None})) as one:
        use(one)
        assert main(["submit", str(photo), str(notes), "--prompt", "disc", "--wait", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_jobs_are_deleted(use, capsys: pytest.CaptureFixture[str]) -> None:
    with service(Answer(204, b"")) as one:
        use(one)
        assert main(["delete", "j1", "j2"]) == 0
        assert one.lines == ["DELETE /v1/jobs/j1", "DELETE /v1/jobs/j2"]
    with service(problem(403, "scope_missing", "The key lacks the scope admin.")) as one:
        use(one)
        assert main(["delete", "j1"]) == 3
    assert "ask your operator" in capsys.readouterr().err


def test_prompts_are_listed_by_modality(use, capsys: pytest.CaptureFixture[str]) -> None:
    target = {"target": "liver", "site": "abdomen", "modality": "CT", "prompt": "liver in abdomen CT"}
    with service(Answer(200, {"prompts": [target]})) as one:
        use(one)
        assert main(["prompts", "--modality", "CT"]) == 0
        assert one.lines == ["GET /v1/prompts?modality=CT"]
    assert "liver in abdomen CT  CT" in capsys.readouterr().out


def test_a_job_is_viewed_in_the_browser(
    use, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    with service(job()) as one:
        use(one)
        assert main(["view", "j1"]) == 0
    assert opened == [f"{one.url}/#/jobs/j1"]
    assert capsys.readouterr().out == f"{one.url}/#/jobs/j1\n"


PROFILES = """\
default = "lab"

[profiles.lab]
url = "{lab}"
api_key = "lab-key"

[profiles.other]
url = "{other}"
api_key_file = "other-key"
"""


def test_a_profile_has_the_address_and_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("MASKRELAY_URL", raising=False)
    monkeypatch.delenv("MASKRELAY_API_KEY", raising=False)
    listed = Answer(200, {"jobs": [], "next": None})
    with service(listed) as lab, service(listed) as other:
        (tmp_path / "maskrelay.toml").write_text(PROFILES.format(lab=lab.url, other=other.url))
        (tmp_path / "other-key").write_text("other-secret\n")
        assert main(["jobs"]) == 0
        monkeypatch.setenv("MASKRELAY_API_KEY", "env-key")
        assert main(["jobs"]) == 0
        assert main(["jobs", "--profile", "other"]) == 0
        assert [seen.headers["authorization"] for seen in lab.server.seen] == ["Bearer lab-key", "Bearer env-key"]
        assert [seen.headers["authorization"] for seen in other.server.seen] == ["Bearer other-secret"]
    assert main(["jobs", "--profile", "none"]) == 3
    assert "The profiles: lab, other." in capsys.readouterr().err
    (tmp_path / "maskrelay.toml").write_text("not toml")
    assert main(["jobs"]) == 3
    assert "is not valid TOML" in capsys.readouterr().err
    for content, said in ((b"\xff", "is not UTF-8"), (b"a=" + b"[" * 100_000, "is nested too deep")):
        (tmp_path / "maskrelay.toml").write_bytes(content)
        assert main(["jobs"]) == 3
        assert said in capsys.readouterr().err


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("maskrelay ")


def test_bash_completes_commands_and_their_options(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "maskrelay.client.cli", "completion", "bash"], capture_output=True, text=True, check=True
    )
    (tmp_path / "completion").write_text(ran.stdout)

    def completed(*words: str) -> set[str]:
        typed = " ".join(f"'{word}'" for word in words)
        script = (
            f"source completion; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _maskrelay; echo ${{COMPREPLY[@]}}"
        )
        done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
        return set(done.stdout.split())

    assert completed("maskrelay", "sub") == {"submit"}
    assert {"--prompt", "--profile"} <= completed("maskrelay", "submit", "a.png", "--p")
    assert "--prompt" not in completed("maskrelay", "-q", "jobs", "--p")
    assert completed("maskrelay", "submit", "a") == set()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_the_same_commands(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    told = capsys.readouterr().out
    assert all(word in told for word in ("maskrelay", "submit", "dead-letters", "prompt"))
