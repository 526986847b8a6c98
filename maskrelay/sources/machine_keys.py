"""The access keys of the machine for S3, as boto3 finds them, for requests that obstore sends."""

import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError

from maskrelay.errors import SourceUnavailable
from maskrelay.storage.s3_clients import changed, core_session, credential_files, stamp_of


class MachineKeys:
    """A credential provider of obstore. It may be called from any thread.

    obstore calls it for every request. boto3 renews temporary keys shortly before they expire, so keys that obstore
    kept for longer could expire in the meantime. boto3 reads its files only once, so they are read again when they
    change. If the changed files contain no keys, the previous keys remain in use. Raises SourceUnavailable if there are
    no keys at present.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        core = core_session()
        self._stamps = {path: stamp_of(path) for path in credential_files(core)}
        self._keys = core.get_credentials()
        #: The region in the environment or in the files, or None.
        self.region: str | None = core.get_config_variable("region")
        if self._keys is None:
            raise SourceUnavailable(reason="credentials")

    def __call__(self) -> Any:
        keys = self._current().get_frozen_credentials()
        return {
            "access_key_id": keys.access_key,
            "secret_access_key": keys.secret_key,
            "token": keys.token,
            "expires_at": datetime.now(UTC),
        }

    def _current(self) -> Any:
        with self._lock:
            if changed(self._stamps):
                self._stamps = {path: stamp_of(path) for path in self._stamps}
                with suppress(BotoCoreError):  # a file that is not complete yet
                    self._keys = core_session().get_credentials() or self._keys
            return self._keys
