"""Scripted protocol servers: real HTTP on loopback, no model behind it, for whoever talks to one."""
