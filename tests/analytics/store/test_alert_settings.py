"""Silences and channels in the store, on both engines."""

from dataclasses import replace

from sqlalchemy import Engine

from analytics.store import alert_settings as held
from analytics.store import database
from tests.analytics.alerts.test_wanted import channel, silence


def test_silences_are_written_read_and_ended(engine: Engine) -> None:
    mine = silence(silence_id="s1", tenant="default", ends_unix_us=200)
    everybodys = silence(silence_id="s2", tenant="", ends_unix_us=300)
    with database.writing(engine) as connection:
        held.add_silence(connection, mine)
        held.add_silence(connection, everybodys)
    with engine.connect() as connection:
        assert held.active(connection, 199) == [mine, everybodys]
        assert held.active(connection, 200) == [everybodys]
        assert held.silences(connection, None, 9) == [everybodys, mine]
        assert held.silences(connection, "default", 9) == [mine]
        assert held.silences(connection, None, 9, "s2") == [mine]
        assert held.silence(connection, "s2", "default") is None
    with database.writing(engine) as connection:
        held.end_silence(connection, "s1", 150)
        held.end_silence(connection, "s1", 180)  # it has ended
        assert held.silence(connection, "s1", None) == replace(mine, ends_unix_us=150)


def test_channels_are_written_changed_read_and_forgotten(engine: Engine) -> None:
    mine = channel(channel_id="c1", tenant="default", rules=("leak", "security"), quiet="22:00-07:00 UTC", sealed="x")
    everybodys = channel(channel_id="c2", enabled=False, after_s=900)
    with database.writing(engine) as connection:
        for one in (mine, everybodys):
            held.write_channel(connection, one)
    with engine.connect() as connection:
        assert held.channels(connection, None) == [mine, everybodys]
        assert held.channels(connection, "default") == [mine]
        assert held.channel(connection, "c2", "default") is None
        assert held.channel(connection, "c2", None) == everybodys
    changed = replace(mine, name="other", rules=(), sealed="y")
    with database.writing(engine) as connection:
        held.write_channel(connection, changed)
        held.delete_channel(connection, "c2")
        assert held.channels(connection, None) == [changed]
