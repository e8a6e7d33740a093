//! The IM suite of XEP-0479 (2023), advanced server: a test for each row, by clients that others wrote. Rows that say
//! nothing about servers are left out but for avatars; so are group chats and uploads, which are not there yet.

mod common;

#[path = "clients/conversation.rs"]
mod conversation;
#[path = "clients/program.rs"]
mod program;
#[path = "clients/row.rs"]
mod row;

use row::slixmpp;

#[test]
fn im_core_features_rfc_6121() {
    slixmpp("compliance_im.py", "im_core_features_rfc_6121");
}

#[test]
fn im_vcard_temp_xep_0054() {
    slixmpp("compliance_im.py", "im_vcard_temp_xep_0054");
}

#[test]
fn im_outbound_message_synchronization_xep_0280() {
    slixmpp("compliance_im.py", "im_outbound_message_synchronization_xep_0280");
}

#[test]
fn im_user_blocking_xep_0191() {
    slixmpp("compliance_im.py", "im_user_blocking_xep_0191");
}

#[test]
fn im_private_xml_storage_xep_0049() {
    slixmpp("compliance_im.py", "im_private_xml_storage_xep_0049");
}

#[test]
fn im_stream_management_xep_0198() {
    slixmpp("compliance_im.py", "im_stream_management_xep_0198");
}

#[test]
fn im_user_avatars_xep_0084() {
    slixmpp("compliance_im.py", "im_user_avatars_xep_0084");
}

#[test]
fn im_user_avatar_compatibility_xep_0398_xep_0153() {
    slixmpp("compliance_im.py", "im_user_avatar_compatibility_xep_0398_xep_0153");
}

#[test]
fn im_advanced_group_chat_bookmarks_xep_0048_xep_0402() {
    slixmpp("compliance_im.py", "im_advanced_group_chat_bookmarks_xep_0048_xep_0402");
}

#[test]
fn im_persistent_storage_of_private_data_xep_0223() {
    slixmpp("compliance_im.py", "im_persistent_storage_of_private_data_xep_0223");
}

#[test]
fn im_history_storage_and_retrieval_xep_0313() {
    slixmpp("compliance_im.py", "im_history_storage_and_retrieval_xep_0313");
}
