"""100,000 UDP connections of 2,000 subscribers through the gateway of the pair's lab, for `make ha`."""

import socket
import time

SUBSCRIBERS, EACH = 2000, 50
PER_PAUSE = 200


def main() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        for number in range(SUBSCRIBERS * EACH):
            host, port = divmod(number, EACH)
            source = socket.inet_aton(f"100.64.{16 + host // 250}.{1 + host % 250}")
            link.sendto(datagram(source, socket.inet_aton("192.0.2.10"), 20000 + port), ("192.0.2.10", 0))
            if number % PER_PAUSE == 0:
                time.sleep(0.01)


def datagram(source: bytes, destination: bytes, port: int) -> bytes:
    """An IPv4 datagram of UDP without a checksum; the kernel fills in the header's."""
    udp = port.to_bytes(2, "big") + (7000).to_bytes(2, "big") + (10).to_bytes(2, "big") + b"\0\0hi"
    header = b"\x45\0" + (20 + len(udp)).to_bytes(2, "big") + b"\0\0\0\0\x40\x11\0\0" + source + destination
    return header + udp


if __name__ == "__main__":
    main()
