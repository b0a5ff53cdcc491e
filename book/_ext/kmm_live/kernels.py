# SPDX-License-Identifier: GPL-2.0-only
"""The kernels that run the chapters during a build, and how one speaks with them.

ipykernel warns of each kernel that is spoken with in plain text, one line a chapter in the middle of a build.
jupyter_client can encrypt, but neither Jupyter Book nor MyST-NB has an option to ask for it.
"""

import zmq
from jupyter_client import KernelManager
from nbclient import NotebookClient

create_kernel_manager = NotebookClient.create_kernel_manager


def create_encrypted(client: NotebookClient) -> KernelManager:
    """Make the manager of a chapter's kernel, and have it encrypt where ZeroMQ can."""
    manager = create_kernel_manager(client)
    if zmq.has("curve"):
        manager.transport_encryption = "auto"
    return manager


def encrypt_kernels() -> None:
    """Encrypt what is said to every kernel that this process starts from now on."""
    NotebookClient.create_kernel_manager = create_encrypted  # type: ignore[method-assign]
