<#
.SYNOPSIS
Enters this Python environment in PowerShell; "deactivate" leaves it again.

.EXAMPLE
bin/Activate.ps1
#>

# Leave whichever environment the shell is in.
if (Test-Path -Path function:global:deactivate) {
    deactivate -NonDestructive
}

function global:deactivate ([switch]$NonDestructive) {
    # What was there before activation: $null where a variable was not set.
    if (Test-Path -Path variable:global:_VenvfsFormer) {
        foreach ($name in $global:_VenvfsFormer.Keys) {
            if ($null -eq $global:_VenvfsFormer[$name]) {
                Remove-Item -Path "env:$name" -ErrorAction SilentlyContinue
            } else {
                Set-Item -Path "env:$name" -Value $global:_VenvfsFormer[$name]
            }
        }
        Remove-Variable -Name _VenvfsFormer -Scope Global
    }
    if (Test-Path -Path function:global:_VenvfsPrompt) {
        Copy-Item -Path function:global:_VenvfsPrompt -Destination function:global:prompt
        Remove-Item -Path function:global:_VenvfsPrompt
    }
    if (-not $NonDestructive) {
        Remove-Item -Path function:global:deactivate
    }
}

$global:_VenvfsFormer = @{}
foreach ($name in 'VIRTUAL_ENV', 'VIRTUAL_ENV_PROMPT', 'PATH', 'PYTHONHOME', 'UV_LINK_MODE') {
    $global:_VenvfsFormer[$name] = [System.Environment]::GetEnvironmentVariable($name)
}

$env:VIRTUAL_ENV = @path:ps1@
$env:VIRTUAL_ENV_PROMPT = @prompt:ps1@
$env:PATH = $env:VIRTUAL_ENV + '/bin' + [System.IO.Path]::PathSeparator + $env:PATH
# uv would try hard links first, which lead out of no mounted environment.
$env:UV_LINK_MODE = 'copy'
Remove-Item -Path env:PYTHONHOME -ErrorAction SilentlyContinue

if (-not $env:VIRTUAL_ENV_DISABLE_PROMPT) {
    Copy-Item -Path function:global:prompt -Destination function:global:_VenvfsPrompt
    function global:prompt {
        Write-Host -NoNewline -ForegroundColor Green ('(' + $env:VIRTUAL_ENV_PROMPT + ') ')
        _VenvfsPrompt
    }
}
