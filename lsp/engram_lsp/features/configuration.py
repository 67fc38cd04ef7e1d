"""workspace/didChangeConfiguration, and asking for the section `engram` where the client can answer."""

import asyncio
import logging

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from engram_lsp.guard import answered
from engram_lsp.session import Session
from engram_lsp.settings import SECTION, Settings

log = logging.getLogger(__name__)

# A client that does not answer must not keep the server from starting, in seconds.
_PATIENCE = 5.0


def did_change_configuration(session: Session, params: types.DidChangeConfigurationParams) -> None:
    if session.client.configuration:
        session.configuring = session.tasks.start("asking for the configuration", pull(session))
    else:
        pushed = params.settings
        section = pushed.get(SECTION, pushed) if isinstance(pushed, dict) else pushed
        use(session, section)


async def pull(session: Session) -> None:
    """Asks for the section, in place of who asked before; an answer that comes late is taken into use when it comes."""
    if session.asking is not None:
        session.asking.cancel()
    asking = session.asking = session.tasks.start("asking for the configuration", _ask(session))
    await asyncio.wait([asking], timeout=_PATIENCE)
    if asking is not session.asking:
        await asyncio.wait([session.asking], timeout=_PATIENCE)


async def _ask(session: Session) -> None:
    items = [types.ConfigurationItem(section=SECTION)]
    try:
        answers = await session.server.workspace_configuration_async(types.ConfigurationParams(items))
    except JsonRpcException as error:
        log.warning("the client did not tell its configuration: %s", type(error).__name__)
        return
    use(session, answers[0] if answers else None)


def use(session: Session, section: object) -> None:
    """Takes new settings into use: over what initializationOptions said, which stay the defaults of the session."""
    settings, warnings = Settings.read(session.initial, section)
    for warning in warnings:
        log.warning("%s", warning)
    session.configure(settings)


async def register(session: Session) -> None:
    """Asks to be told of changes; some clients (VS Code) tell nothing otherwise."""
    if session.client.registers_configuration:
        method = types.WORKSPACE_DID_CHANGE_CONFIGURATION
        options = types.DidChangeConfigurationRegistrationOptions(section=SECTION)
        registered = session.server.client_register_capability_async(
            types.RegistrationParams([types.Registration("engram.configuration", method, options)])
        )
        await answered(registered)
