//! Reports on TLS (RFC 8460 §4.4).

use codec_report::DateRange;
use codec_report::tls::{FailureDetails, Policy, PolicyResults, Report, Summary};

fn report() -> Report {
    let policy = Policy {
        policy_type: "sts".into(),
        policy_string: [
            "version: STSv1",
            "mode: testing",
            "mx: *.mail.y.example",
            "max_age: 86400",
        ]
        .map(str::to_owned)
        .to_vec(),
        policy_domain: "y.example".into(),
        mx_host: vec!["*.mail.y.example".into()],
    };
    let failure = |result: &str, reason: &str, count| FailureDetails {
        result_type: result.into(),
        receiving_mx_hostname: "mx1.mail.y.example".into(),
        receiving_ip: "203.0.113.56".into(),
        failed_session_count: count,
        failure_reason_code: reason.into(),
        ..FailureDetails::default()
    };
    Report {
        organization_name: "Company-X".into(),
        date_range: DateRange::new(1_459_468_800, 1_459_468_800 + 86_400),
        contact_info: "sts-reporting@x.example".into(),
        report_id: "5065427c".into(),
        policies: vec![PolicyResults {
            policy,
            summary: Summary {
                total_successful_session_count: 5_326,
                total_failure_session_count: 303,
            },
            failure_details: vec![
                failure("certificate-expired", "", 100),
                failure("validation-failure", "no \"such\" thing", 203),
            ],
        }],
    }
}

const GOLDEN: &str = r#"{
  "organization-name": "Company-X",
  "date-range": {
    "start-datetime": "2016-04-01T00:00:00Z",
    "end-datetime": "2016-04-01T23:59:59Z"
  },
  "contact-info": "sts-reporting@x.example",
  "report-id": "5065427c",
  "policies": [
    {
      "policy": {
        "policy-type": "sts",
        "policy-string": [
          "version: STSv1",
          "mode: testing",
          "mx: *.mail.y.example",
          "max_age: 86400"
        ],
        "policy-domain": "y.example",
        "mx-host": [
          "*.mail.y.example"
        ]
      },
      "summary": {
        "total-successful-session-count": 5326,
        "total-failure-session-count": 303
      },
      "failure-details": [
        {
          "result-type": "certificate-expired",
          "receiving-mx-hostname": "mx1.mail.y.example",
          "receiving-ip": "203.0.113.56",
          "failed-session-count": 100
        },
        {
          "result-type": "validation-failure",
          "receiving-mx-hostname": "mx1.mail.y.example",
          "receiving-ip": "203.0.113.56",
          "failed-session-count": 203,
          "failure-reason-code": "no \"such\" thing"
        }
      ]
    }
  ]
}"#;

#[test]
fn a_report_is_written_as_the_rfc_shows_it() {
    let written = report().write();
    assert_eq!(String::from_utf8(written.clone()).unwrap(), GOLDEN);
    assert_eq!(Report::read(&written).unwrap(), report());
    assert_eq!(report().date_range.begin_s(), Some(1_459_468_800));
}

#[test]
fn what_others_write_is_read() {
    let odd = r#"{"x": [1], "policies": [{"policy": {"policy-string": "one", "mx-host": null,
        "policy-domain": "y.example"}, "summary": {"total-failure-session-count": 7}}]}"#;
    let read = Report::read(odd.as_bytes()).unwrap();
    assert_eq!(read.policies[0].policy.policy_string, ["one"]);
    assert!(read.policies[0].policy.mx_host.is_empty() && read.date_range.begin_s().is_none());
    let summary = read.policies[0].summary;
    assert_eq!(
        (summary.total_failure_session_count, summary.total_successful_session_count),
        (7, 0)
    );
    for broken in ["", "{", "[]]", "{\"policies\": 7}", "\u{0}"] {
        assert!(Report::read(broken.as_bytes()).is_err(), "{broken}");
    }
    // Nesting takes no stack where it is passed over, and has an end where it is not.
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let passed_over = format!("{{\"x\": {nested}}}");
    assert!(Report::read(passed_over.as_bytes()).unwrap().policies.is_empty());
    assert!(Report::read(format!("{{\"policies\": {nested}}}").as_bytes()).is_err());
    let many = format!("{{\"policies\": [{}]}}", ["{}"; 5_000].join(","));
    assert_eq!(Report::read(many.as_bytes()).unwrap().policies.len(), 100);
}
