"""The icecast.xml of an AzuraCast station, as its writer makes it: each element, in its order, no declaration."""

from pathlib import Path

MOUNT = """    <mount type="normal">
        <mount-name>{name}</mount-name>
        <charset>UTF8</charset>
        <stream-name>Radio Exämple</stream-name>
        <listenurl>https://radio.example.com/listen/example{name}</listenurl>
{more}    </mount>
"""

FULL = """        <limit-rate>330180</limit-rate>
        <stream-description>A station &amp; more</stream-description>
        <stream-url>https://radio.example.com/</stream-url>
        <genre>Various</genre>
        <intro>../../config/intro.mp3</intro>
        <fallback-mount>/fallback-[128].mp3</fallback-mount>
        <fallback-override>1</fallback-override>
        <max-listener-duration>43200</max-listener-duration>
        <authentication type="url">
            <option name="listener_add" value="http://127.0.0.1:{auth}/api/internal/1/listener-auth/apikey123"/>
            <option name="auth_header" value="icecast-auth-user: 1"/>
        </authentication>
"""

SECOND = """        <hidden>1</hidden>
        <fallback-mount>/radio.mp3</fallback-mount>
        <fallback-override>1</fallback-override>
"""

STATION = """<icecast>
    <location>AzuraCast</location>
    <admin>icemaster@localhost</admin>
    <hostname>radio.example.com</hostname>
    <limits>
        <clients>500</clients>
        <max-listeners>250</max-listeners>
        <sources>4</sources>
        <queue-size>524288</queue-size>
        <client-timeout>30</client-timeout>
        <header-timeout>15</header-timeout>
        <source-timeout>10</source-timeout>
        <burst-size>65535</burst-size>
    </limits>
    <authentication>
        <source-password>srcpw12345</source-password>
        <relay-password>relpw12345</relay-password>
        <admin-user>admin</admin-user>
        <admin-password>admpw12345</admin-password>
    </authentication>
    <listen-socket>
        <port>{port}</port>
    </listen-socket>
{mounts}    <fileserve>1</fileserve>
    <paths>
        <basedir>{root}/share/icecast</basedir>
        <logdir>{root}/config</logdir>
        <webroot>{root}/share/web</webroot>
        <adminroot>{root}/share/admin</adminroot>
        <pidfile>{root}/config/icecast.pid</pidfile>
        <alias source="/" dest="/status.xsl"/>
        <ssl-private-key>{root}/acme/ssl.key</ssl-private-key>
        <ssl-certificate>{root}/acme/ssl.crt</ssl-certificate>
        <ssl-allowed-ciphers>ECDH+AESGCM:DH+AESGCM:RSA+AES:!aNULL:!MD5:!DSS</ssl-allowed-ciphers>
        <deny-ip>{root}/config/ip_bans.txt</deny-ip>
        <deny-agents>{root}/config/user_agent_bans.txt</deny-agents>
        <x-forwarded-for>127.0.0.1</x-forwarded-for>
    </paths>
    <logging>
        <accesslog>icecast_access.log</accesslog>
        <errorlog>/dev/stderr</errorlog>
        <loglevel>3</loglevel>
        <logsize>10000</logsize>
    </logging>
    <security>
        <chroot>0</chroot>
    </security>
{relay}</icecast>
"""

RELAY = """    <relay>
        <server>127.0.0.1</server>
        <port>{upstream}</port>
        <mount>/live.mp3</mount>
        <local-mount>/relayed.mp3</local-mount>
    </relay>
"""


def station_xml(root: Path, port: int, auth: int, upstream: int) -> str:
    """Returns the file of a station with all that AzuraCast can write. Its folders are below `root`."""
    mounts = (
        MOUNT.format(name="/radio.mp3", more=FULL.format(auth=auth)),
        MOUNT.format(name="/mobile.aac", more=SECOND),
        MOUNT.format(name="/relayed.mp3", more=""),
    )
    return STATION.format(root=root, port=port, mounts="".join(mounts), relay=RELAY.format(upstream=upstream))


def make_folders(root: Path) -> Path:
    """Makes the folders of a station, with empty ban files. Returns the folder of its configuration."""
    for name in ("config", "acme", "share/web", "share/admin", "share/icecast"):
        (root / name).mkdir(parents=True)
    for name in ("ip_bans.txt", "user_agent_bans.txt"):
        (root / "config" / name).write_text("")
    return root / "config"
