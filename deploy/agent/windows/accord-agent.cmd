@echo off
rem SPDX-License-Identifier: Apache-2.0
rem The agent, with the Python and the packages beside this file and nothing else.
setlocal
if not defined ACCORD_AGENT_STATE set "ACCORD_AGENT_STATE=%LOCALAPPDATA%\accord-agent"
set "PYTHONPATH=%~dp0packages"
if exist "%~dp0python\python.exe" (
    "%~dp0python\python.exe" -X utf8 -s -m accord.agent.cli %*
    exit /b
)
py -@PYTHON@ -X utf8 -s -m accord.agent.cli %*
