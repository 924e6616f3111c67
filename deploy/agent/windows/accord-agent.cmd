@echo off
rem SPDX-License-Identifier: Apache-2.0
rem The agent, with the Python and the packages beside this file and nothing else (-P: not
rem with what lies in the folder from which it is called, such as one of case files).
setlocal
if not defined ACCORD_AGENT_STATE set "ACCORD_AGENT_STATE=%LOCALAPPDATA%\accord-agent"
set "PYTHONPATH=%~dp0packages"
if exist "%~dp0python\python.exe" (
    "%~dp0python\python.exe" -P -X utf8 -s -m accord.agent.cli %*
    exit /b
)
py -@PYTHON@ -P -X utf8 -s -m accord.agent.cli %*
