//! What is refused, and how it is called.

use super::super::XmlError;
use super::{LIMITS, mistake, read_after_header};

#[test]
fn restricted_xml() {
    let rows: [&[u8]; 8] = [
        b"<!-- a comment -->",
        b"<a><!-- a comment --></a>",
        b"<a><?php ?></a>",
        b"<?xml version='1.0'?>",
        b"<!DOCTYPE a>",
        b"<a><!ENTITY b 'c'></a>",
        b"<a>&nbsp;</a>",
        b"<a b='&nbsp;'/>",
    ];
    for row in rows {
        let found = mistake(row);
        assert!(matches!(found, Some(XmlError::RestrictedXml(_))), "{}: {found:?}", String::from_utf8_lossy(row));
    }
}

#[test]
fn not_well_formed() {
    let rows: [&[u8]; 59] = [
        b"<xml:a/>",
        b"<a></b>",
        b"<a></ab>",
        b"<ab></a>",
        b"<a><b></a></b>",
        b"</a>",
        b"</stream>",
        b"<a/ >",
        b"< a/>",
        b"<1/>",
        b"<-a/>",
        b"<a:/>",
        b"<:a/>",
        b"<a:b:c xmlns:a='x'/>",
        b"<a:b/>",
        b"<a b:c='d'/>",
        b"<a b/>",
        b"<a b=c/>",
        b"<a b='c' '/>",
        b"<a b='<'/>",
        b"<a b='c'd='e'/>",
        b"<a b='c' b='d'/>",
        b"<a xmlns='x' xmlns='y'/>",
        b"<a xmlns:b='x' xmlns:b='x'/>",
        b"<a xmlns:b='x' xmlns:c='x' b:d='1' c:d='2'/>",
        b"<a xmlns:b=''/>",
        b"<a xmlns:xmlns='x'/>",
        b"<a xmlns:xml='x'/>",
        b"<a xmlns:b='http://www.w3.org/XML/1998/namespace'/>",
        b"<a xmlns:b='http://www.w3.org/2000/xmlns/'/>",
        b"<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
        b"<a xmlns='http://www.w3.org/2000/xmlns/'/>",
        b"<a>&</a>",
        b"<a>& amp;</a>",
        b"<a>&;</a>",
        b"<a>&#;</a>",
        b"<a>&#x;</a>",
        b"<a>&#0;</a>",
        b"<a>&#xD800;</a>",
        b"<a>&#xFFFE;</a>",
        b"<a>&1;</a>",
        b"<a>&a:b;</a>",
        b"<a>&amp</a>",
        b"<a>]]></a>",
        b"<a><![CDATA[x]]>]]></a>",
        b"<![CDATA[x]]>",
        b"<a><![cdata[x]]></a>",
        b"<a><![IGNORE[x]]></a>",
        b"<a><!></a>",
        b"<a>\x01</a>",
        b"<a b='\x1f'/>",
        b"<a>\0</a>",
        b"<a>\xFF</a>",
        b"<a>\xC0\x80</a>",
        b"<a>\xED\xA0\x80</a>",
        b"<a>\xEF\xBF\xBE</a>",
        b"<a b='\xF5\x80\x80\x80'/>",
        b"<\xC3\x97/>",
        b"<a><![CDATA[\x08]]></a>",
    ];
    for row in rows {
        let found = mistake(row);
        assert!(matches!(found, Some(XmlError::NotWellFormed(_))), "{}: {found:?}", String::from_utf8_lossy(row));
    }
}

#[test]
fn well_formed() {
    let rows: [&[u8]; 12] = [
        b"<a>]] ]]&gt; ]></a>",
        b"<a><![CDATA[]]]]><![CDATA[>]]></a>",
        b"<a><![CDATA[]]></a>",
        b"<a>&#x10FFFF;&#9;&apos;&quot;</a>",
        b"<a b='>\"' c=\"'>\"/>",
        b"<a b = 'c'\n d\t=\r\"e\" ></a\n>",
        "<ä:ü xmlns:ä='x' ä:·='y'></ä:ü>".replace('·', "é·").leak().as_bytes(),
        b"<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:lang='en'/>",
        b"<a xmlns='x'><b xmlns=''><c xmlns='y'/></b></a>",
        b"<a xmlns:b='x'><b:c/><d xmlns:b='y' b:e='' e=''/></a>",
        b"<_.-1/>",
        b"<stream:error xmlns:xmlnsx='y'/>",
    ];
    for row in rows {
        assert_eq!(mistake(row), None, "{}", String::from_utf8_lossy(row));
        assert_eq!(read_after_header(row).len(), 1, "{}", String::from_utf8_lossy(row));
    }
}

#[test]
fn text_between_stanzas() {
    for row in [&b"x"[..], b"<a/>x", b"&amp;", "ü".as_bytes()] {
        assert!(matches!(mistake(row), Some(XmlError::BadFormat(_))), "{row:?}");
    }
    assert!(matches!(mistake(b"\xFF"), Some(XmlError::NotWellFormed(_))));
}

/// Each limit: what just fits, and one more.
#[test]
fn limits() {
    let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    let children = |count: usize| format!("<a>{}</a>", "<b/>".repeat(count));
    let attributes = |count: usize| {
        let list: String = (0..count).map(|number| format!(" a{number}=''")).collect();
        format!("<a{list}/>")
    };
    let bytes = |size: usize| format!("<a>{}</a>", "x".repeat(size - "<a></a>".len()));
    let rows = [
        (nested(LIMITS.depth), nested(LIMITS.depth + 1)),
        (children(LIMITS.children), children(LIMITS.children + 1)),
        (attributes(LIMITS.attributes), attributes(LIMITS.attributes + 1)),
        (bytes(LIMITS.stanza_bytes), bytes(LIMITS.stanza_bytes + 1)),
    ];
    for (fits, too_much) in rows {
        assert_eq!(mistake(fits.as_bytes()), None);
        assert_eq!(read_after_header(fits.as_bytes()).len(), 1);
        assert!(matches!(mistake(too_much.as_bytes()), Some(XmlError::PolicyViolation(_))));
    }
    let declarations: String = (0..9)
        .map(|level| {
            let list: String = (0..15).map(|number| format!(" xmlns:p{level}x{number}='u'")).collect();
            format!("<a{list}>")
        })
        .collect();
    assert!(matches!(mistake(declarations.as_bytes()), Some(XmlError::PolicyViolation(_))));
}

#[test]
fn what_comes_after_a_mistake_is_thrown_away() {
    assert_eq!(read_after_header(b"<a></b><c/><d/>").len(), 1);
}
