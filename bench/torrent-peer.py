"""A peer of an exchange by BitTorrent, with libtorrent (python3-libtorrent of Debian).

    torrent-peer.py make FILE TORRENT
    torrent-peer.py run NUMBER FOLDER TORRENT... -- ADDRESS...

Each peer brings one torrent, whose file is in its folder. It prints `ready` once it has checked that file, begins once
the file FOLDER/../go exists, and prints `whole` with the Unix time in ms once it has all files.
"""
import os
import sys
import time

import libtorrent

PORT = 6881


def make(file, torrent):
    storage = libtorrent.file_storage()
    libtorrent.add_files(storage, file)
    made = libtorrent.create_torrent(storage, 256 * 1024)
    libtorrent.set_piece_hashes(made, os.path.dirname(file))
    with open(torrent, "wb") as output:
        output.write(libtorrent.bencode(made.generate()))


def run(number, folder, torrents, addresses):
    session = libtorrent.session(
        {
            "listen_interfaces": f"{addresses[number]}:{PORT}",
            # Peers know each other, as those of p2mp from the coordinator.
            **{"enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False},
            # All peers serve each other at once, over TCP.
            **{"unchoke_slots_limit": 1000, "mixed_mode_algorithm": 0},
            **{"enable_outgoing_utp": False, "enable_incoming_utp": False},
            "allow_multiple_connections_per_ip": True,
        }
    )
    handles = []
    for torrent in torrents:
        parameters = libtorrent.add_torrent_params()
        parameters.ti = libtorrent.torrent_info(torrent)
        parameters.save_path = folder
        parameters.flags &= ~libtorrent.torrent_flags.auto_managed
        parameters.flags &= ~libtorrent.torrent_flags.paused
        parameters.flags |= libtorrent.torrent_flags.disable_dht
        handles.append(session.add_torrent(parameters))
    while not handles[number].status().is_seeding:
        time.sleep(0.01)
    print("ready", flush=True)
    go = os.path.join(folder, "..", "go")
    while not os.path.exists(go):
        time.sleep(0.005)
    for handle in handles:
        for i, address in enumerate(addresses):
            if i != number:
                handle.connect_peer((address, PORT))
    while not all(handle.status().is_seeding for handle in handles):
        time.sleep(0.01)
    print("whole", int(time.time() * 1000), flush=True)
    while True:
        time.sleep(1)


if sys.argv[1] == "make":
    make(*sys.argv[2:4])
else:
    words = sys.argv[4:]
    cut = words.index("--")
    run(int(sys.argv[2]), sys.argv[3], words[:cut], words[cut + 1 :])
