// The system topic of the ACS resource. Its identity brings dead letters into the app's account: only with one can they
// go into an account behind a firewall. Topic and ACS resource must be of one subscription.

@description('Name of the topic.')
param name string

@description('Tags.')
param tags object

@description('Resource ID of the Communication Services resource.')
param acsId string

@description('Action group of the alerts. Empty: none.')
param actionGroupId string

resource topic 'Microsoft.EventGrid/systemTopics@2022-06-15' = {
  name: name
  // ACS has no region, and so has its topic none.
  location: 'global'
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    source: acsId
    topicType: 'Microsoft.Communication.CommunicationServices'
  }
}

resource deadLettered 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: '${name}-dead-lettered'
  location: 'global'
  tags: tags
  properties: {
    description: 'Event Grid gave up on an event: send it again from the container of dead letters (docs/operations.md, by hand).'
    severity: 1
    enabled: true
    scopes: [topic.id]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT5M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'dead-lettered'
          criterionType: 'StaticThresholdCriterion'
          metricName: 'DeadLetteredCount'
          timeAggregation: 'Total'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    actions: empty(actionGroupId) ? [] : [
      {
        actionGroupId: actionGroupId
      }
    ]
  }
}

@description('Resource ID.')
output id string = topic.id

@description('Its identity.')
output principalId string = topic.identity.principalId
