"""The measure of TLS: a server of Python's `ssl` alone, which makes handshakes, one after the other, and nothing else.

`python -m benchmarks.bare_tls CERTIFICATE` prints its port, and serves until it is ended. It keeps each connection.
"""

import socket
import ssl
import sys


def main() -> int:
    """Serves for ever."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1])
    kept = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        while True:
            sock, _ = listening.accept()
            try:
                kept.append(context.wrap_socket(sock, server_side=True))
            except OSError as error:
                print(error, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
