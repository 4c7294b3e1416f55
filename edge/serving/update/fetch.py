"""Downloads bounded in bytes, in silence and in time, whatever the server does.

For python-tuf's `ngclient`, which has its own fetcher but no bound against a server that sends a byte now and then,
and for zip files over https.
"""

import ssl
import urllib.request
from collections.abc import Callable, Iterator
from time import monotonic
from urllib.parse import urljoin, urlsplit

import urllib3
from tuf.api.exceptions import DownloadError, DownloadHTTPError, SlowRetrievalError
from tuf.ngclient import FetcherInterface

from edge.errors import UpdateSourceError

SILENCE_S = 20.0  # between two packets, and to connect
GRACE_S, SLOWEST_BYTES_S = 60.0, 4096  # a transfer may take so long and, beyond that, its bytes at this rate
_CHUNK = 64 * 2**10
_MOST_REDIRECTS = 4


class Fetcher(FetcherInterface):
    """Fetches over http and https.

    Args:
        silence_s, grace_s: seconds, as above.
        only_https: refuse http, also as the target of a redirect. Without it, a redirect from https to http is still
            refused.
        now: seconds, monotonic.

    >>> Fetcher(only_https=True).fetch("http://example.org/root.json")
    Traceback (most recent call last):
        ...
    tuf.api.exceptions.DownloadError: http://example.org/root.json: only https is fetched
    """

    def __init__(
        self,
        *,
        silence_s: float = SILENCE_S,
        grace_s: float = GRACE_S,
        only_https: bool = False,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._silence_s, self._grace_s, self._only_https, self._now = silence_s, grace_s, only_https, now

    def _fetch(self, url: str) -> Iterator[bytes]:
        """The bytes of a URL as they arrive.

        Raises:
            DownloadHTTPError: the server says no. SlowRetrievalError: silence, or too slow. DownloadError: the rest.
        """
        started = self._now()
        try:
            response = self._opened(url)
            if response.status >= 400:
                raise DownloadHTTPError(f"{url}: the server answers {response.status}", response.status)
        except urllib3.exceptions.TimeoutError as error:
            raise SlowRetrievalError(f"{url}: no answer within {self._silence_s:g} s") from error
        except urllib3.exceptions.HTTPError as error:
            raise DownloadError(f"{url}: {_reason(error)}") from error
        return self._chunks(url, response, started)

    def _opened(self, url: str) -> urllib3.BaseHTTPResponse:
        """The answer to a GET, redirects followed."""
        for _ in range(_MOST_REDIRECTS + 1):
            if urlsplit(url).scheme != "https" and (self._only_https or urlsplit(url).scheme != "http"):
                raise DownloadError(f"{url}: only https is fetched")
            response = _pool(url).request(
                "GET",
                url,
                headers={"Accept-Encoding": "identity", "User-Agent": "leukoscope"},
                timeout=urllib3.Timeout(connect=self._silence_s, read=self._silence_s),
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            location = response.get_redirect_location()
            if not location:
                return response
            response.close()
            target = urljoin(url, location)
            if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
                raise DownloadError(f"{url}: redirects to {target}, which is not https")
            url = target
        raise DownloadError(f"{url}: more than {_MOST_REDIRECTS} redirects")

    def _chunks(self, url: str, response: urllib3.BaseHTTPResponse, started: float) -> Iterator[bytes]:
        received = 0
        try:
            while chunk := response.read1(_CHUNK):
                received += len(chunk)
                if self._now() - started > self._grace_s + received / SLOWEST_BYTES_S:
                    raise SlowRetrievalError(f"{url}: slower than {SLOWEST_BYTES_S} bytes a second")
                yield chunk
        except urllib3.exceptions.TimeoutError as error:
            raise SlowRetrievalError(f"{url}: silent for {self._silence_s:g} s") from error
        except urllib3.exceptions.HTTPError as error:
            raise DownloadError(f"{url}: {_reason(error)}") from error
        finally:
            response.close()


def download(url: str, most_bytes: int, fetcher: Fetcher) -> bytes:
    """The bytes of a file.

    Raises:
        UpdateSourceError: in one line: it cannot be had, is larger than `most_bytes`, or comes too slowly.
    """
    try:
        return fetcher.download_bytes(url, most_bytes)
    except DownloadError as error:
        text = said(error)
        raise UpdateSourceError(text if url in text else f"{url}: {text}") from error


def said(error: Exception) -> str:
    """What a download error says, or its cause where it says nothing."""
    cause = error.__cause__
    text = str(error) or (str(cause) if cause else type(error).__name__)
    return f"{text} ({cause})" if cause is not None and str(cause) not in text else text


def _pool(url: str) -> urllib3.PoolManager:
    """Connections by the system's certificates and the environment's proxies."""
    parts = urlsplit(url)
    context = ssl.create_default_context()
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        return urllib3.ProxyManager(proxy, ssl_context=context)
    return urllib3.PoolManager(ssl_context=context)


def _reason(error: urllib3.exceptions.HTTPError) -> str:
    return " ".join(str(error).split()).rpartition(": ")[2] or type(error).__name__
