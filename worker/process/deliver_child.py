"""The deliver worker, whose threads share one sender of callbacks."""

from collections.abc import Callable

from maskrelay.callbacks.address_guard import AddressGuard
from maskrelay.callbacks.callback_sender import CallbackSender
from maskrelay.network.certificates import client_context
from maskrelay.network.proxies import read_proxy
from maskrelay.settings import Settings, name_of
from worker.deliver.event_delivery import deliver_due
from worker.process.child import WorkerChild


class DeliverChild(WorkerChild):
    """A worker that delivers callbacks. The sender is built at the first wake-up."""

    def __init__(self, settings: Settings, role: str, stopping: Callable[[], bool]) -> None:
        super().__init__(settings, role, stopping)
        self._sender: CallbackSender | None = None

    def deliver(self) -> None:
        self.run_stage("deliver", lambda context, until: deliver_due(context, self._shared_sender(), until))

    def _shared_sender(self) -> CallbackSender:
        with self.lock:
            self._sender = self._sender or _new_sender(self.settings)
            return self._sender


def _new_sender(settings: Settings) -> CallbackSender:
    shown = settings.callback_cert_file, settings.callback_cert_key_file
    tls = client_context(*shown, what=name_of("callback_cert_file"))
    given = settings.callback_proxy
    proxy = read_proxy(given.get_secret_value(), name_of("callback_proxy")) if given else None
    return CallbackSender(AddressGuard(settings.callback_allow), settings.callback_timeout, tls, proxy=proxy)
