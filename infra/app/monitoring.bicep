// Where logs go, who is alerted, and a workbook with the numbers. Entra only: Application Insights takes no telemetry by
// its key.

@description('Part of every name.')
param token string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('E-mail addresses that get the alerts, separated by commas. Empty: none.')
param alertEmails string

@description('Days that logs are kept.')
@minValue(30)
@maxValue(730)
param retentionDays int = 90

var emails = empty(alertEmails) ? [] : split(alertEmails, ',')
// The rules of docs/operations.md, word for word.
var needsPerson = '''
traces
| extend line = parse_json(message), event = tostring(parse_json(message).event)
| where event startswith "alert." or (severityLevel >= 3 and isnotempty(event))
| project timestamp, severityLevel, event, recording = tostring(line.recording), message
'''
var swept = '''
traces
| where message has '"event":"sweep.done"'
'''

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: 'log-${token}'
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: retentionDays
    features: {
      disableLocalAuth: true
    }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-${token}'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    DisableLocalAuth: true
    WorkspaceResourceId: workspace.id
  }
}

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(emails)) {
  name: 'ag-${token}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'recorder'
    enabled: true
    emailReceivers: [for (email, index) in emails: {
      name: 'email-${index}'
      emailAddress: trim(email)
      useCommonAlertSchema: true
    }]
  }
}

resource alert 'Microsoft.Insights/scheduledQueryRules@2022-06-15' = {
  name: 'recorder-alert-${token}'
  location: location
  tags: tags
  properties: {
    displayName: 'Recorder: something needs a person'
    description: 'docs/operations.md says for each event what it means and what to do.'
    severity: 1
    enabled: true
    scopes: [insights.id]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT5M'
    autoMitigate: false
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: needsPerson
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          dimensions: [
            {
              name: 'event'
              operator: 'Include'
              values: ['*']
            }
          ]
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: empty(emails) ? [] : [people.id]
    }
  }
}

resource silence 'Microsoft.Insights/scheduledQueryRules@2022-06-15' = {
  name: 'recorder-silence-${token}'
  location: location
  tags: tags
  properties: {
    displayName: 'Recorder: nothing runs'
    description: 'The sweep runs every five minutes and logs it. There was none for fifteen.'
    severity: 0
    enabled: true
    scopes: [insights.id]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    autoMitigate: true
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: swept
          timeAggregation: 'Count'
          operator: 'LessThan'
          threshold: 1
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: empty(emails) ? [] : [people.id]
    }
  }
}

resource workbook 'Microsoft.Insights/workbooks@2022-04-01' = {
  name: guid(resourceGroup().id, 'recorder-workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Recordings'
    category: 'workbook'
    version: '1.0'
    sourceId: insights.id
    serializedData: loadTextContent('../workbook.json')
  }
}

@description('Resource ID of the workspace.')
output workspaceId string = workspace.id

@description('Name of Application Insights.')
output insightsName string = insights.name

@description('Resource ID of the action group. Empty: there is none.')
output actionGroupId string = empty(emails) ? '' : people.id
