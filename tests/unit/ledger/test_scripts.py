"""The texts of the ledger's scripts, as they are sent to Redis."""

import re
from pathlib import Path

import maskrelay.ledger
from maskrelay.ledger.scripts import texts

FOLDER = Path(maskrelay.ledger.__file__).parent / "scripts"
CALLED = re.compile(r"(?<![\w.:])([A-Za-z_]\w*)\(")
LUA = {"function", "if", "and", "or", "not", "ipairs", "pairs", "tonumber", "unpack", "next"}


def code(text: str) -> str:
    """The text without comments and without the contents of strings."""
    return re.sub(r"--[^\n]*|'[^'\n]*'", "", text)


def preludes(folder: Path) -> list[str]:
    return [path.read_text() for path in sorted(folder.glob("prelude*.lua"))]


def test_a_script_follows_the_preludes_of_the_folder_in_their_order():
    common = "".join(preludes(FOLDER))
    text = texts()["settle"]
    assert text.startswith("local MOVES = {")
    assert text.partition("\n")[2] == common + (FOLDER / "claims" / "settle.lua").read_text()


def test_the_preludes_of_its_own_folder_come_last_before_a_script():
    own = "".join([*preludes(FOLDER), *preludes(FOLDER / "flow")])
    assert texts()["admit"].partition("\n")[2] == own + (FOLDER / "flow" / "admit.lua").read_text()


def test_every_file_is_a_script_by_its_own_name_or_a_prelude():
    scripts = [path.stem for path in FOLDER.glob("*/*.lua") if not path.stem.startswith("prelude")]
    assert sorted(texts()) == sorted(scripts)
    assert [path.name for path in FOLDER.glob("*.lua") if not path.stem.startswith("prelude")] == []


def test_every_function_is_defined_before_it_is_called():
    undefined = {}
    for name, text in texts().items():
        plain = code(text)
        defined = {found[1]: found.start() for found in re.finditer(r"local function (\w+)", plain)}
        parameters = {
            word for found in re.finditer(r"function[ \w]*\(([^)]*)\)", plain) for word in found[1].split(", ")
        }
        calls = [found for found in CALLED.finditer(plain) if found[1] not in LUA | parameters]
        undefined |= {call[1]: name for call in calls if defined.get(call[1], len(plain)) > call.start()}
    assert undefined == {}


def test_no_function_is_defined_in_two_preludes():
    for folders in ([FOLDER], [FOLDER, FOLDER / "flow"]):
        names = [
            name
            for folder in folders
            for text in preludes(folder)
            for name in re.findall(r"^local function (\w+)", text, re.MULTILINE)
        ]
        assert len(names) == len(set(names))
