//! Failures as gRPC statuses with `google.rpc` details, and back.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::{Failure, Reason};

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        let Failure { reason, message, metadata, field } = failure;
        let metadata: HashMap<String, String> = metadata.into_iter().collect();
        let mut details = ErrorDetails::with_error_info(reason.as_str(), DOMAIN, metadata);
        if let Some(field) = field {
            details.add_bad_request_violation(field, message.clone());
        }
        if let Some(delay) = reason.retry_after() {
            details.set_retry_info(Some(delay));
        }
        Self::with_error_details(reason.code(), message, details)
    }
}

impl Failure {
    /// Reads the failure in a status, `None` when it carries no reason of this catalogue.
    pub(crate) fn from_status(status: &Status) -> Option<Self> {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == DOMAIN)?;
        let reason = Reason::from_text(&info.reason)?;
        let field = details.bad_request().and_then(|request| request.field_violations.first());
        Some(Self {
            reason,
            message: status.message().to_owned(),
            metadata: info.metadata.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            field: field.map(|violation| violation.field.clone()),
        })
    }

    /// Gives a reason to a status that tonic made itself while it read a request, `None` for every other.
    ///
    /// tonic answers OUT_OF_RANGE for a message over the limit and INTERNAL for bytes that are no message; both
    /// would tell the caller to look for the fault in the wrong place.
    pub(crate) fn of_unread_request(status: &Status, message_bytes_max: usize) -> Option<Self> {
        if !status.details().is_empty() {
            return None;
        }
        match status.code() {
            Code::OutOfRange => Some(
                Self::new(
                    Reason::MessageTooLarge,
                    format!("the message is longer than the limit of {message_bytes_max} bytes"),
                )
                .with("limit", message_bytes_max),
            ),
            Code::Internal => {
                Some(Self::new(Reason::InvalidArgument, "the request is not a message of this method"))
            }
            _ => None,
        }
    }
}

const DOMAIN: &str = "trellis.dev";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_survives_the_way_through_a_status() {
        for reason in Reason::ALL {
            let failure = Failure::new(reason, "no").with("key", "counter1").with("limit", 5).at("key");
            let status = Status::from(failure.clone());
            assert_eq!(status.code(), reason.code());
            assert_eq!(Failure::from_status(&status), Some(failure));
        }
    }

    #[test]
    fn reasons_are_distinct_and_follow_the_rules_of_error_info() {
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            let text = reason.as_str();
            assert!(text.len() <= 63 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'));
            assert_eq!(Reason::ALL.iter().position(|other| other.as_str() == text), Some(index));
        }
    }

    #[test]
    fn statuses_without_a_reason_of_ours_hold_no_failure() {
        assert_eq!(Failure::from_status(&Status::unavailable("gone")), None);
        let foreign = ErrorDetails::with_error_info("INVALID_KEY", "example.org", HashMap::new());
        let foreign = Status::with_error_details(Code::InvalidArgument, "no", foreign);
        assert_eq!(Failure::from_status(&foreign), None);
        let garbage = Status::with_details(Code::Internal, "no", vec![0xff; 40].into());
        assert_eq!(Failure::from_status(&garbage), None);
    }

    #[test]
    fn a_status_of_ours_is_never_taken_for_an_unread_request() {
        let overflow = Status::from(Failure::new(Reason::CounterOverflow, "the counter is full"));
        assert_eq!(overflow.code(), Code::OutOfRange);
        assert_eq!(Failure::of_unread_request(&overflow, 100), None);
        let too_large = Failure::of_unread_request(&Status::out_of_range("too large"), 100).unwrap();
        assert_eq!(too_large.reason, Reason::MessageTooLarge);
        assert_eq!(too_large.metadata["limit"], "100");
    }
}
