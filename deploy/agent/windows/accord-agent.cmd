@echo off
rem SPDX-License-Identifier: Apache-2.0
rem The agent, with the Python and the packages beside this file and nothing else.
setlocal
if not defined ACCORD_AGENT_STATE set "ACCORD_AGENT_STATE=%LOCALAPPDATA%\accord-agent"
if exist "%~dp0python\python.exe" (
    "%~dp0python\python.exe" -m accord.agent.cli %*
    exit /b
)
set "PYTHONPATH=%~dp0packages"
set "PYTHONNOUSERSITE=1"
py -@PYTHON@ -s -m accord.agent.cli %*
