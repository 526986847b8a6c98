import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from maskrelay.client.cli import main
from maskrelay.client.progress import JobProgress
from maskrelay.client.table import table
from maskrelay.contract.views.job_views import JobShown
from tests.unit.client.services import JOB, Answer, Service, job, problem, service


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(state: str, done: int, total: int = 4, failed: int = 0) -> JobShown:
    frames = {"planned": total, "succeeded": done, "failed": failed}
    return JobShown.model_validate({**JOB, "state": state, "frames": frames, "counts": {"total": total}, "eta_s": 9})


def test_progress_moves_in_place_on_a_terminal_and_ends_its_line() -> None:
    terminal = Terminal()
    progress = JobProgress(terminal)
    for done, state in ((0, "running"), (2, "running"), (4, "succeeded")):
        progress(shown(state, done))
    text = terminal.getvalue()
    assert text.count("\n") == 1
    assert text.endswith("[########################] 4/4 succeeded\n")
    assert "\r\x1b[K[############............] 2/4 running, 9 s left" in text


def test_progress_elsewhere_is_a_line_for_each_change() -> None:
    log = io.StringIO()
    progress = JobProgress(log)
    for done in (0, 2, 2, 2, 3):
        progress(shown("running", done, failed=done // 3))
    assert log.getvalue().splitlines() == [
        "[........................] 0/4 running, 9 s left",
        "[############............] 2/4 running, 9 s left",
        "[########################] 4/4 running, 1 failed, 9 s left",
    ]


def test_a_table_aligns_numbers_to_the_right_and_shows_no_control_characters() -> None:
    assert table(("name", "n"), [("a\x1b[2J\n", 5), ("longer", 123)]).splitlines() == [
        "name      n",
        "a?[2J?    5",
        "longer  123",
    ]


def test_a_refusal_is_one_line_with_its_places_and_exit_code_3(use, capsys: pytest.CaptureFixture[str]) -> None:
    places = [{"pointer": "#/prompt", "detail": "Remove the \x1b[2Jsign."}]
    with service(problem(422, "prompt_has_ampersand", "A prompt contains '&'.", errors=places)) as one:
        use(one)
        assert main(["status", "j1"]) == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "maskrelay: A prompt contains '&'.\n  #/prompt: Remove the ?[2Jsign.\n"


def test_a_service_that_is_away_is_exit_code_4_and_no_traceback(use, capsys: pytest.CaptureFixture[str]) -> None:
    with service(job()) as one:
        use(one)
    assert main(["jobs"]) == 4
    told = capsys.readouterr().err
    assert told.startswith(f"maskrelay: cannot reach maskrelay at {one.url}")
    assert told.count("\n") == 1


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_sent(
    use, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "a.png"
    photo.write_bytes(b"x")
    with service(job()) as one:
        use(one)
        assert main(["submit", str(photo), "--prompt", "disc", "--save", str(photo / "folder")]) == 3
        assert one.lines == []
    assert "maskrelay: " in capsys.readouterr().err


def test_a_job_that_did_not_succeed_in_full_is_exit_code_1(use, tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    photo.write_bytes(b"x")
    with service(job(state="running"), job(state="partial"), Answer(200, {"items": [], "next": None})) as one:
        use(one)
        assert main(["submit", str(photo), "--prompt", "disc", "--wait"]) == 1


def keys_sent(one: Service) -> list[str]:
    return [seen.headers["idempotency-key"] for seen in one.server.seen if "idempotency-key" in seen.headers]


def test_an_equal_command_finds_the_first_job_and_another_makes_one(
    use, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "a.png"
    photo.write_bytes(b"x")
    command = ["submit", str(photo), "--prompt", "disc"]
    with service(job()) as one:
        use(one)
        for changed in ([], [], ["--lane", "bulk"], ["--prompt", "cup"], ["--option", "volume=2"]):
            assert main([*command, *changed]) == 0
        photo.write_bytes(b"y")
        main(command)
        photo.rename(tmp_path / "b.png")
        main(["submit", str(tmp_path / "b.png"), "--prompt", "disc"])
        first, second, *others = keys_sent(one)
    assert first == second
    assert len({first, *others}) == 6
    assert (
        "The same command submitted this job at 2025-01-02 03:04:05 UTC. Use --again to submit a new one."
        in capsys.readouterr().err
    )


def test_again_makes_a_new_job_each_time(use, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = tmp_path / "a.png"
    photo.write_bytes(b"x")
    now = datetime.now(UTC).isoformat()
    with service(job(created_at=now)) as one:
        use(one)
        for _ in range(2):
            assert main(["submit", str(photo), "--prompt", "disc", "--again"]) == 0
        assert len(set(keys_sent(one))) == 2
    assert "the same command" not in capsys.readouterr().err


def test_a_job_that_is_gone_is_said_with_the_way_to_make_it_anew(
    use, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "a.png"
    photo.write_bytes(b"x")
    with service(problem(410, "gone", "Gone.")) as one:
        use(one)
        assert main(["submit", str(photo), "--prompt", "disc"]) == 3
    assert "--again" in capsys.readouterr().err


def test_a_job_is_waited_for_by_its_id_and_its_files_are_saved(
    use, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = Answer(200, {"items": [], "next": None})
    with service(job(state="running"), job(state="running"), job(), nothing) as one:
        use(one)
        assert main(["wait", "j1", "--save", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "manifest.json").is_file()
    assert "job j1" in capsys.readouterr().out


def test_an_interrupt_names_the_command_that_gets_the_results(
    use, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = tmp_path / "a.png"
    photo.write_bytes(b"x")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("maskrelay.client.service_client.Client.wait", interrupted)
    with service(job(state="running")) as one:
        use(one)
        assert main(["submit", str(photo), "--prompt", "disc", "--save", str(tmp_path / "out")]) == 130
    told = capsys.readouterr().err
    assert f"maskrelay wait j1 --save {tmp_path / 'out'}" in told


def test_a_prompt_that_the_model_does_not_know_is_warned_of_with_its_nearest(
    use, capsys: pytest.CaptureFixture[str]
) -> None:
    warnings = [
        {"code": "prompt_unknown", "prompt": "livr in abdomen CT", "nearest": "liver in abdomen CT"},
        {"code": "prompt_unknown", "prompt": "rocket", "nearest": None},
    ]
    with service(job(warnings=warnings), Answer(200, {"items": [], "next": None})) as one:
        use(one)
        assert main(["status", "j1"]) == 0
    told = capsys.readouterr().out
    assert "not trained on “livr in abdomen CT”; did you mean “liver in abdomen CT”?" in told
    assert "not trained on “rocket”\n" in told


def test_jobs_are_listed_in_columns_or_as_json(use, capsys: pytest.CaptureFixture[str]) -> None:
    with service(Answer(200, {"jobs": [JOB], "next": None})) as one:
        use(one)
        assert main(["jobs"]) == 0
        head, row = capsys.readouterr().out.splitlines()
        assert head.split() == ["job", "state", "items", "succeeded", "failed", "created", "(UTC)"]
        assert row.split() == ["j1", "succeeded", "2", "2", "0", "2025-01-02", "03:04:05"]
        assert main(["jobs", "--json"]) == 0
        listed = json.loads(capsys.readouterr().out)
    assert datetime.fromisoformat(listed[0]["created_at"]) == datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_generated_callback_secret_is_shown(use, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = tmp_path / "a.png"
    photo.write_bytes(b"x")
    callback = {"url": "https://c.example/", "events": ["job.succeeded"]}
    accepted = job(state="accepted", callback={**callback, "secret": "whsec_abc"})
    with service(accepted, job(callback=callback), Answer(200, {"items": [], "next": None})) as one:
        use(one)
        main(["submit", str(photo), "--prompt", "disc", "--callback", "https://c.example/", "--wait", "--json"])
    assert json.loads(capsys.readouterr().out)["job"]["callback"]["secret"] == "whsec_abc"


def test_a_further_command_comes_through_the_entry_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "extra_command.py").write_text(
        "def add(subparsers):\n    subparsers.add_parser('hello').set_defaults(run=lambda given: 42)\n"
    )
    about = tmp_path / "extra-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1\n")
    (about / "entry_points.txt").write_text(
        "[maskrelay.commands]\nhello = extra_command:add\nlost = no_such_module:add\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["hello"]) == 42


def test_wrong_usage_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["submit", "a.png"])
    assert ended.value.code == 2
    assert "--prompt" in capsys.readouterr().err


def test_deliveries_are_listed_and_replayed(use, capsys: pytest.CaptureFixture[str]) -> None:
    one_event = {"event": "evt_1", "type": "job.failed", "state": "given_up", "attempts": 10, "status": 503}
    with service(Answer(200, {"deliveries": [one_event]}), Answer(202, {**one_event, "state": "waiting"})) as one:
        use(one)
        assert main(["deliveries", "j1"]) == 0
        assert capsys.readouterr().out.splitlines()[1].split() == ["evt_1", "job.failed", "given_up", "10", "503"]
        assert main(["replay", "j1", "evt_1", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)[0]["state"] == "waiting"
        assert one.lines == ["GET /v1/jobs/j1/deliveries", "POST /v1/jobs/j1/deliveries/evt_1/replay"]


LETTER = {
    "item": 7,
    "custom_id": "ct-7",
    "frame": 3,
    "attempts": 2,
    "error": {"code": "truncated", "detail": "It ends too early."},
}


def test_dead_letters_are_listed_with_their_reasons_and_the_names_of_their_files(
    use, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = {"frame": 3, "state": "failed", "source_name": "series/IM3.dcm"}
    named = {"custom_id": "ct-7", "source_name": "series", "state": "failed", "frames": [frame]}
    pages = [Answer(200, {"dead_letters": [LETTER], "redriven_as": [], "next": after}) for after in ("c1", None)]
    items = Answer(200, {"items": [named], "next": None})
    with service(*pages, items, pages[1], items) as one:
        use(one)
        assert main(["dead-letters", "j1", "--code", "truncated"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 3
        assert lines[1].split()[:3] == ["series/IM3.dcm", "3", "2"]
        assert "truncated  It ends too early." in lines[1]
        path = "GET /v1/jobs/j1/dead-letters?"
        assert one.lines[:2] == [f"{path}code=truncated", f"{path}cursor=c1&code=truncated"]
        assert main(["--json", "dead-letters", "j1"]) == 0
        assert json.loads(capsys.readouterr().out) == [{**LETTER, "source_name": "series/IM3.dcm"}]


def test_a_job_or_all_jobs_are_redriven_and_what_cannot_be_is_told(use, capsys: pytest.CaptureFixture[str]) -> None:
    new = {**JOB, "id": "j2", "redrive_of": "j1", "state": "accepted"}
    refused = {"job": "j0", "error": {"code": "upload_gone", "detail": "Gone."}}
    first, last = ({"jobs": [new], "refused": [], "next": "c1"}, {"jobs": [], "refused": [refused], "next": None})
    with service(Answer(202, new), Answer(202, first), Answer(202, last)) as one:
        use(one)
        assert main(["redrive", "j1", "--code", "truncated"]) == 0
        assert "job j2" in capsys.readouterr().out
        assert main(["redrive", "--all"]) == 1
        rows = capsys.readouterr().out.splitlines()
        assert rows[1].split() == ["j1", "j2", "accepted", "2"]
        assert "upload_gone: Gone." in rows[2]
        assert one.lines == [
            "POST /v1/jobs/j1/redrive?code=truncated",
            "POST /v1/redrive",
            "POST /v1/redrive?cursor=c1",
        ]


def test_redriving_needs_a_job_or_all(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["redrive"], ["redrive", "j1", "--all"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2


def test_a_terminal_that_cannot_show_a_letter_gets_a_mark_and_no_traceback(tmp_path: Path) -> None:
    with service(
        job(metadata={}), Answer(200, {"items": [{"custom_id": "ä☃", "state": "failed"}], "next": None})
    ) as one:
        given = {**os.environ, "MASKRELAY_URL": one.url, "MASKRELAY_API_KEY": "k", "PYTHONIOENCODING": "ascii"}
        command = [sys.executable, "-m", "maskrelay.client.cli", "status", "j1"]
        ran = subprocess.run(command, env=given, capture_output=True, check=False, timeout=60)
    assert (ran.returncode, b"Traceback" in ran.stderr) == (0, False)
    assert b"??" in ran.stdout
