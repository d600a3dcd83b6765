"""Logs in Icecast's formats: access, playlist and error log, and the files they go to."""
