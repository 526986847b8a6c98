import pytest
from python_multipart.multipart import parse_options_header

from api.submissions.file_names import file_name_in


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (b'form-data; name="image"; filename="eye.png"', "eye.png"),
        ('form-data; name="image"; filename="Müller.png"'.encode(), "Müller.png"),
        ('form-data; name="image"; filename="Müller.png"'.encode("cp1252"), "Müller.png"),
        # .NET's HttpClient, PowerShell 7
        (
            b"form-data; name=image; filename=\"=?utf-8?B?TcO8bGxlci5wbmc=?=\"; filename*=utf-8''M%C3%BCller.png",
            "Müller.png",
        ),
        (b'form-data; name=image; filename="=?utf-8?B?TcO8bGxlci5wbmc=?="', "Müller.png"),
        # aiohttp, urllib3 before 2
        (b"form-data; name=\"image\"; filename*=utf-8''M%C3%BCller%20%231.png", "Müller #1.png"),
        (b"form-data; name=\"image\"; filename*=UTF-8'de'%E8%85%B9%E9%83%A8.dcm", "腹部.dcm"),
        (b"form-data; name=\"image\"; filename*=iso-8859-1''M%FCller.png", "Müller.png"),
        (b"form-data; name=\"image\"; filename*=no-such-charset''M%C3%BCller.png", "Müller.png"),
        (b"form-data; name=\"image\"; filename*=undefined''M%C3%BCller.png", "Müller.png"),
        # not valid as encoded words: base64 of a wrong length, other characters than ASCII, and no charset
        (b'form-data; name=image; filename="=?utf-8?B?a?="', "=?utf-8?B?a?="),
        ('form-data; name=image; filename="=?utf-8?B?aü?="'.encode(), "=?utf-8?B?aü?="),
        (b'form-data; name=image; filename="=?undefined?Q?a?="', "a"),
        (b'form-data; name="image"; filename="ward/eye.png"', "ward/eye.png"),
        (b'form-data; name="image"; filename=""', None),
        (b'form-data; name="image"', None),
    ],
)
def test_a_name_is_read_as_each_client_writes_it(header: bytes, name: str | None) -> None:
    assert file_name_in(header, parse_options_header(header)[1]) == name
