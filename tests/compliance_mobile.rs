//! The Mobile suite of XEP-0479 (2023), advanced server: a test for each row, by clients that others wrote. Push
//! notifications are not there yet.

mod common;

#[path = "clients/conversation.rs"]
mod conversation;
#[path = "clients/program.rs"]
mod program;
#[path = "clients/row.rs"]
mod row;

use row::slixmpp;

#[test]
fn mobile_stream_management_xep_0198() {
    slixmpp("compliance_mobile.py", "mobile_stream_management_xep_0198");
}

#[test]
fn mobile_client_state_indication_xep_0352() {
    slixmpp("compliance_mobile.py", "mobile_client_state_indication_xep_0352");
}
